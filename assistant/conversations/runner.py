"""Who owns the tasks that make answers: starts them, stops them, takes over turns whose process died.

One for each event loop, made by the first socket or request. A generation belongs to nobody's socket:
closing a tab cancels nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
import weakref
from typing import Any

from channels.layers import get_channel_layer
from django.db import DatabaseError
from redis import RedisError

from assistant.conversations import leases, recovery
from assistant.conversations.attempt import Control
from assistant.conversations.database import in_database
from assistant.conversations.emitter import Listener
from assistant.conversations.models import Turn
from assistant.conversations.pipeline import run_turn
from assistant.conversations.wakeups import Wakeups

log = logging.getLogger(__name__)
GROUP = "turns"
RECOVER_EVERY_S = 1.0


class Runner:
    def __init__(self) -> None:
        self._running: dict[uuid.UUID, Control] = {}
        self._wakeups = Wakeups([GROUP], self._hear)
        self._claiming = asyncio.Lock()
        self._recovery = asyncio.create_task(self._recover())

    def start(self, turn: Turn, *, listeners: list[Listener] | None = None) -> asyncio.Task[None] | None:
        """Run a turn that this process has just saved and holds. None when there is nothing to run."""
        if turn.lease_owner != leases.OWNER or turn.state != Turn.State.QUEUED or turn.pk in self._running:
            return None
        return self._launch(turn.pk, turn.fencing_token, listeners)

    def stop(self, turn_id: uuid.UUID) -> bool:
        """Stop at once if the turn runs here; says whether it does."""
        control = self._running.get(turn_id)
        if control is not None:
            control.stop()
        return control is not None

    async def announce_stop(self, turn_id: uuid.UUID) -> None:
        """Tell the process that runs it. If that gets lost, the row says it within a second or so."""
        layer = get_channel_layer()
        assert layer is not None
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(1):
                await layer.group_send(GROUP, {"type": "stop", "turn": str(turn_id)})

    async def run_to_end(self, turn: Turn, *, listeners: list[Listener] | None = None) -> None:
        """For commands and workers: run a saved turn here and wait until it is finished."""
        task = self.start(turn, listeners=listeners)
        if task is not None:
            await asyncio.wait([task])

    async def take_over(self) -> int:
        """Go on with turns whose holder died. Returns how many."""
        # Whoever calls this while recovery claims finds what it claimed running, not just claimed.
        async with self._claiming:
            claimed = await in_database(recovery.claim_lapsed)
            for turn_id, token in claimed:
                log.warning("turn %s is taken over with token %d", turn_id, token)
                self._launch(turn_id, token, None)
        return len(claimed)

    async def wait_idle(self) -> None:
        while tasks := self._tasks():
            await asyncio.wait(tasks)

    async def close(self) -> None:
        """The process ends: save what there is, and let others take the turns at once."""
        self._recovery.cancel()
        await asyncio.gather(self._recovery, return_exceptions=True)
        tasks = self._tasks()
        for control in self._running.values():
            control.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._wakeups.close()

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [control.task for control in self._running.values() if control.task is not None]

    def _launch(self, turn_id: uuid.UUID, token: int, listeners: list[Listener] | None) -> asyncio.Task[None]:
        control = Control()
        control.task = asyncio.create_task(self._run(turn_id, token, control, listeners))
        self._running[turn_id] = control
        return control.task

    async def _run(
        self, turn_id: uuid.UUID, token: int, control: Control, listeners: list[Listener] | None
    ) -> None:
        try:
            await run_turn(turn_id, token, control=control, listeners=listeners)
        except asyncio.CancelledError:
            await in_database(leases.give_up, turn_id, token)
        except Exception:
            # Whoever takes the turn over when the lease runs out tries again, or gives up for good.
            log.exception("turn %s is left to be taken over", turn_id)
        finally:
            self._running.pop(turn_id, None)

    async def _recover(self) -> None:
        while True:
            try:
                await self.take_over()
            except DatabaseError as error:
                log.warning("recovery waits for the database: %s", error)
            await asyncio.sleep(RECOVER_EVERY_S)

    def _hear(self, message: dict[str, Any]) -> None:
        if message.get("type") == "stop":
            self.stop(uuid.UUID(message["turn"]))


_runners: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Runner] = weakref.WeakKeyDictionary()


def get_runner() -> Runner:
    """This event loop's runner."""
    loop = asyncio.get_running_loop()
    if loop not in _runners:
        _runners[loop] = Runner()
    return _runners[loop]
