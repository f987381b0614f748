"""How much a socket may have on the way: bytes sent that its client has not acknowledged.

The web server buffers without limit for a client that does not read; the window is what bounds it.
"""

from __future__ import annotations

import asyncio
from collections import deque

from assistant.conversations.events import Cursor

MAX_BYTES = 256 * 1024
PATIENCE_S = 6.0


class Window:
    def __init__(self) -> None:
        self._on_the_way: deque[tuple[Cursor, int]] = deque()
        self._num_bytes = 0
        self._room = asyncio.Event()
        self._room.set()

    def sent(self, cursor: Cursor, num_bytes: int) -> None:
        self._on_the_way.append((cursor, num_bytes))
        self._num_bytes += num_bytes
        if self._num_bytes >= MAX_BYTES:
            self._room.clear()

    def acknowledge(self, cursor: Cursor) -> None:
        while self._on_the_way and self._on_the_way[0][0] <= cursor:
            self._num_bytes -= self._on_the_way.popleft()[1]
        if self._num_bytes < MAX_BYTES:
            self._room.set()

    async def has_room(self) -> bool:
        """Wait for room; False when the client acknowledged too little for too long."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._room.wait()
        except TimeoutError:
            return False
        return True
