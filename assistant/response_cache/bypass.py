"""Answering without the cache: for measurements, which must not find what an earlier run left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_is_aside: ContextVar[bool] = ContextVar("response_cache_is_aside", default=False)


@contextmanager
def left_aside() -> Iterator[None]:
    """Within this context, and tasks and threads begun in it, nothing is looked up, shared or kept."""
    token = _is_aside.set(True)
    try:
        yield
    finally:
        _is_aside.reset(token)


def is_left_aside() -> bool:
    return _is_aside.get()
