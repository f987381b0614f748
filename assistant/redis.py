"""Connections to Valkey: one pool a process for threads, one an event loop for coroutines."""

from __future__ import annotations

import asyncio
import weakref
from functools import lru_cache

from django.conf import settings
from redis import Redis
from redis import asyncio as aioredis

_pools: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, aioredis.Redis] = weakref.WeakKeyDictionary()


@lru_cache(maxsize=1)
def _client(url: str) -> Redis:
    return Redis.from_url(url, socket_timeout=5, socket_connect_timeout=1, health_check_interval=15)


def get_redis() -> Redis:
    return _client(settings.REDIS_URL)


def get_async_redis() -> aioredis.Redis:
    """The running loop's client. Blocking reads pass their own timeout, so none is set on the socket."""
    loop = asyncio.get_running_loop()
    client = _pools.get(loop)
    if client is None:
        client = _pools[loop] = aioredis.Redis.from_url(
            settings.REDIS_URL, socket_connect_timeout=1, health_check_interval=15
        )
    return client
