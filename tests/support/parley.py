"""All of Parley as `make run` starts it, on a data folder and a port of its own, with the real model.

    with Parley() as parley:
        parley.url; parley.engine().kill()

The model folder is the checkout's, because fetching and converting it takes minutes once.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil

from tests.support.scripted_engine import free_port

ROOT = Path(__file__).resolve().parents[2]
START_S = 240.0
# What the test run says about its own surroundings is not for these processes.
FOREIGN = ("DJANGO_SETTINGS_MODULE", "DATABASE_URL", "REDIS_URL", "ENGINE_URL", "DJANGO_ALLOW_ASYNC_UNSAFE")


class Parley:
    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = Path(tempfile.mkdtemp(prefix="parley-up-"))
        self.log = self.folder / "up.log"
        models = os.environ.get("MODELS_DIR", str(ROOT / "var" / "models"))
        kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        self.environment = {
            **kept,
            "DATA_DIR": str(self.folder),
            "MODELS_DIR": models,
            "PORT": str(self.port),
            "HOST": "127.0.0.1",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Parley:
        """Start, and wait until it tells its address: then the documentation has been read, too."""
        with self.log.open("wb") as log:
            argv = [sys.executable, "manage.py", "up"]
            self.process = subprocess.Popen(argv, cwd=ROOT, env=self.environment, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if "Ctrl-C ends it." in self.log.read_text():
                return self
            time.sleep(0.2)
        said = self.log.read_text()[-2000:]
        self.__exit__()
        raise RuntimeError(f"Parley did not start, or not within {START_S:.0f} s:\n{said}")

    def __exit__(self, *exc_info: object) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                child.kill()
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def engine(self) -> psutil.Process:
        """The engine's process; the supervisor starts another when this one is killed."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children(recursive=True)
        return next(child for child in children if "inference.serving.server" in child.cmdline())

    def wait_until_ready(self, timeout_s: float = 90.0) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/health/ready", timeout=5, trust_env=False).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.3)
        raise RuntimeError(f"not ready after {timeout_s:.0f} s:\n{self.log.read_text()[-2000:]}")
