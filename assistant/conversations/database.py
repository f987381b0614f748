"""Database hops from the event loop, on threads of their own.

Channels would run every hop of every socket on one thread; then one waiting writer would stop all
readers. Connections are closed after each hop (CONN_MAX_AGE is 0) or given back to the pool.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from channels.db import database_sync_to_async

T = TypeVar("T")
NUM_THREADS = 8
_threads = ThreadPoolExecutor(NUM_THREADS, thread_name_prefix="database")


async def in_database(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Run a synchronous service that touches the database."""
    hop = database_sync_to_async(
        partial(function, *args, **kwargs), thread_sensitive=False, executor=_threads
    )
    return await hop()
