"""The one writer of an epoch: numbers events at once, and sends them to the log behind the answer's back.

Generation never waits for Valkey. When the log fails, or was lost, the emitter goes silent and says so
(`is_broken`); the answer goes on in the database, and whoever owns it opens a new epoch when it can.
Listeners inside the process (an HTTP stream) hear every event, whatever becomes of the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from assistant.conversations import events
from assistant.conversations.events import Cursor, HistoryLost, LogUnavailable

log = logging.getLogger(__name__)
# One event must fit a slow reader's window many times over.
MAX_TEXT = 4_000
DRAIN_S = 2.5

Listener = Callable[[dict[str, Any]], None]


class Emitter:
    def __init__(self, conversation_id: str, epoch: int, listeners: list[Listener] | None = None) -> None:
        self.conversation_id = conversation_id
        self.epoch = epoch
        self.seq = 0
        self.is_broken = False
        self._listeners = listeners or []
        self._waiting: list[dict[str, Any]] = []
        self._has_work = asyncio.Event()
        self._is_closing = False
        self._task = asyncio.create_task(self._write())

    @property
    def cursor(self) -> Cursor:
        """The last event given out, whether or not the log holds it yet."""
        return Cursor(self.epoch, self.seq)

    def emit(self, **body: Any) -> None:
        self.seq += 1
        for listen in self._listeners:
            listen(body)
        if not self.is_broken:
            self._waiting.append(body)
            self._has_work.set()

    def reopen(self, epoch: int) -> None:
        """Go on in a new epoch. Its first event sends readers to the database for what they missed."""
        self._task.cancel()
        self.epoch, self.seq, self.is_broken = epoch, 1, False
        self._waiting = [{"type": events.RESYNC}]
        self._has_work.set()
        self._task = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Send what waits, for a bounded time."""
        self._is_closing = True
        self._has_work.set()
        await asyncio.wait([self._task], timeout=DRAIN_S)
        self._task.cancel()

    async def _write(self) -> None:
        sent = 0
        while not (self._is_closing and not self._waiting):
            await self._has_work.wait()
            self._has_work.clear()
            batch, self._waiting = self._waiting, []
            if not batch:
                continue
            try:
                await events.append(self.conversation_id, Cursor(self.epoch, sent + 1), batch)
            except (LogUnavailable, HistoryLost) as error:
                log.warning("conversation %s goes on without its log: %s", self.conversation_id, error)
                self.is_broken, self._waiting = True, []
                return
            sent += len(batch)


def pieces(text: str) -> list[str]:
    """Cut a text that is too long for one event."""
    return [text[start : start + MAX_TEXT] for start in range(0, len(text), MAX_TEXT)]
