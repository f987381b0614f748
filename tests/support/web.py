"""A real web process (`python -m chatbot.web`) on a free port, with the surroundings that a test gives it.

    with ScriptedEngine() as engine, WebServer(engine_socket=engine.socket_path) as web:
        web.url, web.websocket_url; web.kill(); web.start()

By default it uses the test's own database (so the test must be `transaction=True`) and Valkey.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
from django.conf import settings
from django.db import connection

from tests.support.scripted_engine import free_port

ROOT = Path(__file__).resolve().parents[2]


class WebServer:
    """`environment` wins over what is said here."""

    def __init__(
        self, *, engine_socket: Path | None = None, environment: dict[str, str] | None = None, port: int = 0
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.origin = self.url
        self.websocket_url = f"ws://127.0.0.1:{self.port}/ws/chat/"
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = {
            **os.environ,
            "DATA_DIR": str(settings.DATA_DIR),
            "PORT": str(self.port),
            "TEST_DATABASE": str(connection.settings_dict["NAME"]),
            "DJANGO_SETTINGS_MODULE": "tests.support.web_settings",
            "REDIS_URL": settings.REDIS_URL,
            "LOG_LEVEL": "WARNING",
            **({"TEST_ENGINE": str(engine_socket)} if engine_socket else {}),
            **(environment or {}),
        }

    def start(self) -> WebServer:
        """Start it and wait until it is ready."""
        argv = [sys.executable, "-m", "chatbot.web", "--port", str(self.port)]
        self.process = subprocess.Popen(argv, cwd=ROOT, env=self.environment)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.is_up():
                return self
            time.sleep(0.05)
        raise RuntimeError(f"the web process did not start (exit status {self.process.poll()})")

    def is_up(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """kill -9, as a crash."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, as an operator does."""
        self._end(signal.SIGTERM)

    def _end(self, signum: signal.Signals) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signum)
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def __enter__(self) -> WebServer:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
