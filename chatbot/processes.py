"""The processes of Parley: what each runs, what it waits for, how one knows that it is ready.

One table for both forms: `manage.py up` supervises all of them on one machine, `manage.py start NAME`
becomes one of them in a container. Nothing here starts anything.
"""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from redis import Redis, RedisError

from chatbot.valkey import server_binary

PYTHON = sys.executable


@dataclass(frozen=True)
class Process:
    """One long-running process.

    `niceness` is added to the supervisor's; `stop_s` is how long SIGTERM may take before SIGKILL.
    `group` orders the start: a group starts when the one before it is ready, and stops before it.
    """

    name: str
    argv: list[str]
    is_ready: Callable[[], bool]
    group: int
    niceness: int = 0
    stop_s: float = 5.0


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket, for readiness checks."""

    def __init__(self, path: Path, *, timeout_s: float = 1.0) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def _answers(connection: http.client.HTTPConnection, address: str) -> bool:
    try:
        connection.request("GET", address, headers={"Host": "localhost"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def valkey_is_ready() -> bool:
    try:
        with Redis.from_url(settings.REDIS_URL, socket_timeout=1) as client:
            return bool(client.ping())
    except RedisError:
        return False


def engine_is_ready() -> bool:
    return _answers(UnixConnection(settings.ENGINE_SOCKET), "/health/ready")


def engine_facts() -> dict[str, Any]:
    """What the running engine says of itself at /health; empty when it does not answer."""
    connection = UnixConnection(settings.ENGINE_SOCKET)
    try:
        connection.request("GET", "/health", headers={"Host": "localhost"})
        return dict(json.loads(connection.getresponse().read()))
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    finally:
        connection.close()


def web_is_ready() -> bool:
    return _answers(http.client.HTTPConnection(own_host(), settings.ENV["PORT"], timeout=2), "/health/ready")


def own_host() -> str:
    host = settings.ENV["HOST"]
    return "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 (compared, not bound)


def worker_is_ready(name: str) -> Callable[[], bool]:
    def check() -> bool:
        from chatbot.celery import app

        replies = app.control.ping(destination=[f"{name}@parley"], timeout=0.5)
        return bool(replies)

    return check


def _valkey() -> Process:
    folder = settings.DATA_DIR / "valkey"
    argv = [
        *(str(server_binary()), "--port", "0", "--unixsocket", str(settings.RUN_DIR / "valkey.sock")),
        *("--unixsocketperm", "700", "--dir", str(folder), "--appendonly", "yes", "--save", ""),
        # The event log and the broker must never be evicted; cached answers carry a time to live.
        *("--maxmemory", "512mb", "--maxmemory-policy", "volatile-lru", "--loglevel", "warning"),
    ]
    return Process("valkey", argv, valkey_is_ready, group=0)


def _engine(model_folder: Path | None) -> Process:
    argv = [PYTHON, "-m", "inference.serving.server", "--socket", str(settings.ENGINE_SOCKET)]
    argv += ["--models-dir", str(settings.MODELS_DIR)]
    if settings.ENGINE_URL:
        argv += ["--embeddings-only"]
    else:
        argv += ["--model-dir", str(model_folder)]
        argv += ["--max-streams", str(settings.ENV["ENGINE_MAX_STREAMS"])]
        argv += ["--max-waiting", str(settings.ENV["ENGINE_MAX_WAITING"])]
        argv += ["--kv-tokens", str(settings.ENV["ENGINE_KV_TOKENS"])]
    argv += ["--threads", str(settings.ENV["ENGINE_THREADS"])]
    return Process("engine", argv, engine_is_ready, group=1)


def _web() -> Process:
    argv = [PYTHON, "-m", "chatbot.web", "--host", settings.ENV["HOST"], "--port", str(settings.ENV["PORT"])]
    return Process("web", argv, web_is_ready, group=1, stop_s=8.0)


def _celery_worker(name: str, queue: str, *, niceness: int) -> Process:
    argv = [PYTHON, "-m", "celery", "-A", "chatbot", "worker", "-n", f"{name}@parley", "-Q", queue]
    argv += [
        "--concurrency",
        "2" if name == "worker" else "1",
        "--without-gossip",
        "--without-mingle",
        "-l",
        settings.LOG_LEVEL,
    ]
    return Process(name, argv, worker_is_ready(name), group=2, niceness=niceness)


def _beat() -> Process:
    pid_file = settings.RUN_DIR / "beat.pid"
    argv = [
        PYTHON,
        "-m",
        "celery",
        "-A",
        "chatbot",
        "beat",
        "-l",
        settings.LOG_LEVEL,
        "--pidfile",
        str(pid_file),
    ]
    return Process("beat", argv, pid_file.exists, group=2, niceness=5)


def table(*, model_folder: Path | None) -> list[Process]:
    """All processes of this configuration, in the order they start."""
    private_valkey = [] if settings.ENV["REDIS_URL"] else [_valkey()]
    return [
        *private_valkey,
        _engine(model_folder),
        _web(),
        _celery_worker("worker", "default", niceness=5),
        _celery_worker("trainer", "training", niceness=15),
        _beat(),
    ]


def prepare_run_dir() -> None:
    settings.RUN_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings.RUN_DIR.chmod(0o700)


def prepare_folders() -> None:
    """Make the folders that processes expect, and take away what a killed run left in their way."""
    prepare_run_dir()
    for folder in ("valkey", "uploads", "exports", "mail", "logs"):
        (settings.DATA_DIR / folder).mkdir(parents=True, exist_ok=True)
    settings.MODELS_DIR.mkdir(parents=True, exist_ok=True)
    (settings.RUN_DIR / "beat.pid").unlink(missing_ok=True)


def free_disk_bytes(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
