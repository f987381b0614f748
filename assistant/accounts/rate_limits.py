"""How often somebody may do something, counted in Valkey for all web processes together.

When Valkey is away the count goes on in this process alone: one process's worth of requests is still
bounded, and an outage of the cache does not become an outage of the API.
"""

from __future__ import annotations

import logging
import time
from functools import lru_cache

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis import RedisError

from assistant.redis import get_redis

log = logging.getLogger(__name__)


class RateLimited(Exception):
    """Too often. `retry_after_s` says when the next one is welcome."""

    def __init__(self, *, bucket: str, max_per_minute: int, retry_after_s: int) -> None:
        super().__init__(
            f"More than {max_per_minute} {bucket} requests in a minute. Wait {retry_after_s} s and try again."
        )
        self.retry_after_s = retry_after_s


@lru_cache(maxsize=1)
def _shared() -> SlidingWindowCounterRateLimiter:
    pool = get_redis().connection_pool
    return SlidingWindowCounterRateLimiter(RedisStorage("redis://", connection_pool=pool, key_prefix="limit"))


@lru_cache(maxsize=1)
def _local() -> SlidingWindowCounterRateLimiter:
    return SlidingWindowCounterRateLimiter(MemoryStorage())


def take(*, bucket: str, key: str, max_per_minute: int) -> None:
    """Count one request of `key` in `bucket`. Raises RateLimited when its minute is used up."""
    item = RateLimitItemPerMinute(max(1, max_per_minute))
    try:
        limiter = _shared()
        is_allowed = limiter.hit(item, bucket, key)
    except RedisError as error:
        log.warning("rate limit %s counted in this process only: %s", bucket, error)
        limiter = _local()
        is_allowed = limiter.hit(item, bucket, key)
    if not is_allowed:
        raise RateLimited(
            bucket=bucket, max_per_minute=max_per_minute, retry_after_s=_wait(limiter, item, bucket, key)
        )


def _wait(limiter: SlidingWindowCounterRateLimiter, item: RateLimitItem, bucket: str, key: str) -> int:
    try:
        reset = limiter.get_window_stats(item, bucket, key).reset_time
    except RedisError:
        return 60
    return max(1, min(60, round(reset - time.time())))
