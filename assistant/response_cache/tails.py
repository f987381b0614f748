"""Reading a flight's stream: one reader a stream in each process, however many follow it.

A hundred followers would otherwise hold a hundred connections to Valkey, each blocked in a read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from redis.exceptions import RedisError

from assistant.redis import get_async_redis

BLOCK_MS = 250
PATIENCE_S = 3.0
ENDS = ("landed", "retracted", "declined")

IsLed = Callable[[], Awaitable[bool]]


class Tail:
    """The entries of one stream so far, and word when there are more. Ends with an entry of ENDS, or when
    nobody leads any more and all that was written has been read."""

    def __init__(self, stream: str, is_led: IsLed) -> None:
        self.num_readers = 0
        self._entries: list[tuple[str, str]] = []
        self._grown = asyncio.Condition()
        self._error: Exception | None = None
        self._is_over = False
        self._task = asyncio.create_task(self._read(stream, is_led))

    async def entries(self) -> AsyncIterator[tuple[str, str]]:
        """(kind, text) from the beginning. Raises what the reader met."""
        index = 0
        while True:
            async with self._grown:
                while index == len(self._entries) and not self._is_over:
                    await self._grown.wait()
                fresh = self._entries[index:]
            for entry in fresh:
                yield entry
            index += len(fresh)
            if self._is_over and index == len(self._entries):
                if self._error:
                    raise self._error
                return

    async def _read(self, stream: str, is_led: IsLed) -> None:
        redis, cursor, was_led = get_async_redis(), b"0", True
        try:
            while not self._is_over:
                async with asyncio.timeout(PATIENCE_S):
                    # Once nobody leads, one last look: what it wrote before it went must not be missed.
                    answer = await redis.xread({stream: cursor}, block=BLOCK_MS if was_led else None)
                fresh = [entry for _, entries in answer or [] for entry in entries]
                if fresh:
                    cursor = fresh[-1][0]
                    await self._add(
                        [(fields[b"kind"].decode(), fields[b"text"].decode()) for _, fields in fresh]
                    )
                elif not was_led:
                    break
                else:
                    was_led = await is_led()
        except (RedisError, OSError, TimeoutError) as error:
            self._error = error
        finally:
            self._is_over = True
            async with self._grown:
                self._grown.notify_all()

    async def _add(self, entries: list[tuple[str, str]]) -> None:
        async with self._grown:
            self._entries += entries
            self._is_over = entries[-1][0] in ENDS
            self._grown.notify_all()

    def stop(self) -> None:
        self._task.cancel()


_tails: dict[tuple[int, str], Tail] = {}


@asynccontextmanager
async def read_along(stream: str, is_led: IsLed) -> AsyncIterator[Tail]:
    """The process's reader of this stream; it stops when its last follower leaves."""
    key = (id(asyncio.get_running_loop()), stream)
    tail = _tails.get(key) or _tails.setdefault(key, Tail(stream, is_led))
    tail.num_readers += 1
    try:
        yield tail
    finally:
        tail.num_readers -= 1
        if tail.num_readers == 0:
            _tails.pop(key, None)
            tail.stop()
