"""A real Valkey process on a unix socket, for tests to use, stop, stall and restart."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

from redis import Redis, RedisError

from chatbot.valkey import server_binary


class ValkeyServer:
    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Start it empty and wait until it answers."""
        self.socket.parent.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [
                str(server_binary()),
                "--port",
                "0",
                "--unixsocket",
                str(self.socket),
                "--save",
                "",
                "--appendonly",
                "no",
            ],
            stdout=subprocess.DEVNULL,
            cwd=self.socket.parent,
        )
        client = Redis(unix_socket_path=str(self.socket))
        for _ in range(200):
            try:
                if client.ping():
                    client.close()
                    return
            except RedisError:
                time.sleep(0.02)
        raise RuntimeError(f"valkey did not answer on {self.socket}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stall(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)
