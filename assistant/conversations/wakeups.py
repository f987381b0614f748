"""Word from other processes over the channel layer: something to read, somebody revoked, a turn to stop.

The layer may be down or may drop a message; subscribing is therefore tried again for ever, and nobody
relies on being woken. Text never travels here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import Any

from channels.layers import get_channel_layer
from redis import RedisError

log = logging.getLogger(__name__)
RETRY_S = 1.0
TIMEOUT_S = 2.0
_TROUBLE = (RedisError, OSError, TimeoutError)


class Wakeups:
    """Joins channel-layer groups and hands every message to `on_message`, until closed."""

    def __init__(self, groups: Iterable[str], on_message: Callable[[dict[str, Any]], None]) -> None:
        self._groups = set(groups)
        self._joined: set[str] = set()
        self._on_message = on_message
        self._channel: str | None = None
        self._has_news = asyncio.Event()
        self._tasks = [asyncio.create_task(self._join()), asyncio.create_task(self._listen())]
        self._has_channel = asyncio.Event()

    def join(self, group: str) -> None:
        self._groups.add(group)
        self._has_news.set()

    @property
    def is_joined(self) -> bool:
        return self._joined == self._groups

    async def close(self) -> None:
        layer = get_channel_layer()
        assert layer is not None
        for task in self._tasks:
            task.cancel()
        if self._channel is not None:
            for group in self._joined:
                with contextlib.suppress(*_TROUBLE):
                    async with asyncio.timeout(TIMEOUT_S):
                        await layer.group_discard(group, self._channel)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _join(self) -> None:
        layer = get_channel_layer()
        assert layer is not None
        while True:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    if self._channel is None:
                        self._channel = await layer.new_channel()
                        self._has_channel.set()
                    for group in list(self._groups - self._joined):
                        await layer.group_add(group, self._channel)
                        self._joined.add(group)
            except _TROUBLE as error:
                log.info("not yet joined to the channel layer: %r", error)
                await asyncio.sleep(RETRY_S)
                continue
            await self._has_news.wait()
            self._has_news.clear()

    async def _listen(self) -> None:
        layer = get_channel_layer()
        assert layer is not None
        await self._has_channel.wait()
        assert self._channel is not None
        while True:
            self._on_message(await layer.receive(self._channel))
