"""Fixtures that tests of every part share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.cache import cache
from django.db import connection

from assistant.redis import get_redis
from tests.environment import valkey_server
from tests.support.browser import browser as browser
from tests.support.browser import context as context
from tests.support.browser import page as page
from tests.support.valkey import ValkeyServer


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """PostgreSQL drops no database in use, and `channels.testing` keeps its threads' connections open."""
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    """The session's Valkey, emptied. A test that stopped or stalled it gets it put right afterwards."""
    get_redis().flushall()
    yield valkey_server
    if valkey_server.process is None or valkey_server.process.poll() is not None:
        valkey_server.start()
    valkey_server.resume()


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Still argon2, at a hundredth of the price: a test may sign in as often as it likes."""
    for name, cheap in (("time_cost", 1), ("memory_cost", 64), ("parallelism", 1)):
        monkeypatch.setattr(Argon2PasswordHasher, name, cheap)


@pytest.fixture(autouse=True)
def _forget_cache() -> Iterator[None]:
    yield
    cache.clear()
