"""What must hold before anything is started, each with its remedy. Used by `up` and by `doctor`."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable

import psycopg
from django.conf import settings
from django.db import DatabaseError, connection
from redis import Redis, RedisError

from chatbot.env import SettingError
from chatbot.processes import free_disk_bytes
from chatbot.valkey import server_binary

MIN_FREE_BYTES = 500_000_000


def python_version() -> str:
    if sys.version_info[:2] != (3, 11):
        seen = ".".join(map(str, sys.version_info[:3]))
        raise SettingError(f"Python {seen} is not supported. Use Python 3.11: make run PYTHON=python3.11")
    return sys.version.split()[0]


def data_folder() -> str:
    probe = settings.DATA_DIR / ".writable"
    try:
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise SettingError(
            f"DATA_DIR={settings.DATA_DIR} cannot be written: {error.strerror}. Name a folder of your own."
        ) from None
    return str(settings.DATA_DIR)


def disk() -> str:
    free = free_disk_bytes(settings.DATA_DIR)
    if free < MIN_FREE_BYTES:
        raise SettingError(
            f"Only {free / 1e6:.0f} MB are free for DATA_DIR={settings.DATA_DIR}, at least"
            f" {MIN_FREE_BYTES / 1e6:.0f} MB are needed. Free some, or set DATA_DIR to a larger disk."
        )
    return f"{free / 1e9:.1f} GB free"


def port() -> str:
    host, number = settings.ENV["HOST"], settings.ENV["PORT"]
    try:
        address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
        with socket.socket(address[0], socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address[4])
    except OSError as error:
        raise SettingError(
            f"HOST={host} PORT={number} cannot be listened on: {error.strerror or error}."
            f" Stop what uses it, or choose another: make run PORT={number + 1}"
        ) from None
    return f"{host}:{number}"


def database() -> str:
    """The database answers; a DATABASE_URL that names none, or one that is away, is refused."""
    url = settings.ENV["DATABASE_URL"]
    if url and not settings.DATABASES["default"].get("NAME"):
        raise SettingError(
            "DATABASE_URL names no database. Write postgresql://user:password@host:5432/name,"
            " or unset it to use SQLite."
        )
    try:
        if url:  # not through Django's pool, which tries again and again before it says why
            psycopg.connect(url, connect_timeout=5).close()
        else:
            connection.ensure_connection()
    except (DatabaseError, psycopg.Error, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        remedy = "Start it or mend DATABASE_URL, or unset it to use SQLite." if url else "Check DATA_DIR."
        raise SettingError(f"The database does not answer: {reason}. {remedy}") from None
    return connection.vendor


def redis() -> str:
    """REDIS_URL answers, or the private Valkey has a program to run."""
    if not settings.ENV["REDIS_URL"]:
        return f"private, {server_binary().name}"
    try:
        with Redis.from_url(settings.REDIS_URL, socket_connect_timeout=3, socket_timeout=3) as client:
            version = client.info("server")["redis_version"]
    except (RedisError, ValueError) as error:
        raise SettingError(
            f"REDIS_URL does not answer: {error}."
            " Start it or mend REDIS_URL, or unset it for a private Valkey."
        ) from None
    return f"REDIS_URL, version {version}"


def engine_settings() -> str:
    if settings.ENGINE_URL:
        return f"upstream {settings.ENGINE_URL}"
    for name in ("ENGINE_API_KEY", "ENGINE_MODEL"):
        if settings.ENV[name]:
            raise SettingError(f"{name} is set but ENGINE_URL is not. Set ENGINE_URL, or unset {name}.")
    return f"embedded, MODEL={settings.MODEL}"


CHECKS: dict[str, Callable[[], str]] = {
    "python": python_version,
    "data folder": data_folder,
    "disk": disk,
    "port": port,
    "database": database,
    "valkey": redis,
    "engine": engine_settings,
}


def require_all() -> None:
    """Raise SettingError for the first check that fails."""
    for check in CHECKS.values():
        check()
