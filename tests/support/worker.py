"""A real Celery worker in a process group of its own, on the tests' database and Valkey.

    with Worker() as worker:          # started and answering
        worker.kill(); worker.start()

The test that starts one must commit what the worker should see: `@pytest.mark.django_db(transaction=True)`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from django.db import connection

from chatbot.celery import app

ROOT = Path(__file__).resolve().parents[2]


class Worker:
    def __init__(self, queue: str = "default", *, concurrency: int = 1) -> None:
        self.name = f"test-{queue}-{os.getpid()}@parley"
        self._command = [sys.executable, "-m", "celery", "-A", "chatbot", "worker", "-n", self.name]
        self._command += ["-Q", queue, "--concurrency", str(concurrency)]
        self._command += ["--without-gossip", "--without-mingle", "-l", "WARNING"]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Worker:
        environ = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.support.worker_settings",
            "TEST_DATABASE_NAME": str(connection.settings_dict["NAME"]),
        }
        self.process = subprocess.Popen(self._command, cwd=ROOT, env=environ, start_new_session=True)
        wait_for(self.is_answering, timeout_s=60, what="the worker")
        return self

    def is_answering(self) -> bool:
        return bool(app.control.ping(destination=[self.name], timeout=0.5))

    def kill(self) -> None:
        """kill -9 to the worker and its children, as when the machine kills for memory."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def __enter__(self) -> Worker:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.kill()


def wait_for(condition: Callable[[], object], *, timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s for {what}"
        time.sleep(0.1)
