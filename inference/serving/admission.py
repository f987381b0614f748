"""Who may generate now, who waits and how long: overload is said aloud, never a hang.

Lives on the event loop and knows nothing of what a slot is used for. First come, first served; a
request that gives up while it waits gives its place to those behind it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator

from inference.serving.pieces import Queued
from inference.serving.wire import Refused

FIRST_GUESS_S = 5.0
SMOOTHING = 0.2
ANNOUNCE_EVERY_S = 5.0


class Ticket:
    """One request's way through the queue: `wait()` until a slot is free, then `release()` it, always."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._changed = asyncio.Event()
        self._since: float | None = None

    @property
    def is_running(self) -> bool:
        return self._since is not None

    async def wait(self) -> AsyncIterator[Queued]:
        """Announce the place at first, whenever it changes and every few seconds; end with a slot."""
        while not self.is_running:
            yield self._admission.position(self)
            try:
                async with asyncio.timeout(ANNOUNCE_EVERY_S):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()

    def release(self) -> None:
        self._admission.leave(self)

    def start(self) -> None:
        self._since = time.monotonic()
        self._changed.set()

    def move(self) -> None:
        self._changed.set()

    def held_s(self) -> float:
        return 0.0 if self._since is None else time.monotonic() - self._since


class Admission:
    """`max_running` slots and a waiting line of at most `max_waiting`."""

    def __init__(self, *, max_running: int, max_waiting: int) -> None:
        self.max_running, self.max_waiting = max_running, max_waiting
        self._running: set[Ticket] = set()
        self._waiting: deque[Ticket] = deque()
        self._typical_s = FIRST_GUESS_S

    @property
    def num_running(self) -> int:
        return len(self._running)

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    def enter(self) -> Ticket:
        """A ticket, running already if a slot is free. Raises Refused (429) when the line is full."""
        if len(self._running) >= self.max_running and len(self._waiting) >= self.max_waiting:
            after_s = self.expected_wait_s(len(self._waiting) + 1)
            message = (
                f"{len(self._running)} answers are running and {len(self._waiting)} requests wait, which is "
                f"the most this engine takes: try again in about {after_s:.0f} s."
            )
            raise Refused(message, status=429, code="overloaded", retry_after_s=after_s)
        ticket = Ticket(self)
        self._waiting.append(ticket)
        self._fill()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        if ticket in self._running:
            self._running.remove(ticket)
            self._typical_s += SMOOTHING * (ticket.held_s() - self._typical_s)
        elif ticket in self._waiting:
            self._waiting.remove(ticket)
        self._fill()
        for waiting in self._waiting:
            waiting.move()

    def position(self, ticket: Ticket) -> Queued:
        place = self._waiting.index(ticket) + 1
        return Queued(place, round(self.expected_wait_s(place), 1))

    def expected_wait_s(self, place: int) -> float:
        """A slot comes free every (typical answer / slots) seconds."""
        return place * self._typical_s / self.max_running

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self.max_running:
            ticket = self._waiting.popleft()
            self._running.add(ticket)
            ticket.start()
