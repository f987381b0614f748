"""One attempt at one turn: what was loaded, what is written, and how it ends.

Whichever way the answer comes about, it is shown, passed on to those who follow the same flight, ended
and kept by the methods of `Run`. `Control` is how the runner ends an attempt from outside.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from assistant.conversations import receipts
from assistant.conversations.database import in_database
from assistant.conversations.loading import Loaded
from assistant.conversations.models import Message
from assistant.conversations.receipts import Stopwatch
from assistant.conversations.writing import AnswerWriter
from assistant.response_cache import flight
from assistant.response_cache import services as response_cache
from assistant.response_cache.services import Answer
from assistant.safety.findings import Finding
from inference.serving.client import Finished

log = logging.getLogger(__name__)
State, Outcome = Message.State, Message.Outcome


@dataclass
class Control:
    """How a running turn is ended from outside. Once it is being finished, nothing cuts it off."""

    task: asyncio.Task[None] | None = None
    is_stopped: bool = False
    is_lost: bool = False
    is_finishing: bool = False

    def stop(self) -> None:
        self.is_stopped = True
        self.cancel()

    def lose(self) -> None:
        self.is_lost = True
        self.cancel()

    def cancel(self) -> None:
        if self.task is not None and not self.is_finishing:
            self.task.cancel()


@dataclass
class Run:
    """One attempt: what was loaded, what is written, and what the receipt will say."""

    loaded: Loaded
    writer: AnswerWriter
    control: Control
    watch: Stopwatch
    seat: flight.Leader | None = None
    finished: Finished | None = None
    cache: dict[str, Any] | None = None
    first_making: dict[str, Any] | None = None
    findings: list[Finding] = field(default_factory=list)
    is_shareable: bool = False

    def show(self, text: str) -> None:
        if text:
            self.watch.note_first_text()
            self.writer.release(text)

    async def end(self, state: Message.State, outcome: Message.Outcome, **more: Any) -> None:
        self.control.is_finishing = True
        policy = self.loaded.context.policy
        receipt = receipts.make(
            watch=self.watch,
            policy_name=policy.name,
            policy_version=policy.version,
            citations=self.writer.citations,
            finished=self.finished,
            cache=self.cache,
            first_making=self.first_making,
        )
        await self.writer.finish(state, outcome=outcome, receipt=receipt, findings=self.findings, **more)

    async def publish(self, text: str) -> None:
        """Pass on what was released to those who read along."""
        if self.seat is not None:
            await self.seat.publish(text)

    async def retract(self, *, reason: str, replacement: str) -> None:
        self.writer.retract(reason=reason, replacement=replacement)
        if self.seat is not None:
            await self.seat.retract(reason=reason, replacement=replacement)

    async def complete(self, outcome: Message.Outcome) -> None:
        """End an answer that was made here, and keep it for the next asker."""
        await self.end(State.COMPLETE, outcome)
        timing = self.finished.timing if self.finished else {}
        answer = Answer(
            text=self.writer.text,
            outcome=outcome,
            message_id=self.loaded.answer_id,
            citations=self.writer.citations,
            receipt={key: timing.get(key) for key in ("model", "quantization")},
            is_shareable=self.is_shareable,
        )
        try:
            await self._land(answer)
        except Exception:
            # The answer is saved already: trouble with the cache costs nothing.
            log.exception("the answer of turn %s was saved, but not cached", self.loaded.turn.pk)

    async def _land(self, answer: Answer) -> None:
        if self.loaded.cached is not None:
            await in_database(response_cache.store, self.loaded.cached, answer)
            if self.seat is not None:
                await self.seat.land(answer)
                self.seat = None

    async def leave_flight(self) -> None:
        """Nobody may wait for an answer that will not come."""
        if self.seat is not None:
            await self.seat.abandon()
