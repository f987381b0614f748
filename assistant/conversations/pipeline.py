"""The way of one question, from the saved row to the saved answer.

    load → screen's verdict → recall → prepare → generate → guard → record

`run_turn` is the border at which every failure becomes a finished turn: stopped, interrupted or failed,
with the text that was released so far. It owns no task; `runner` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import DatabaseError

from assistant.conversations import leases, loading, receipts
from assistant.conversations.database import in_database
from assistant.conversations.emitter import Listener
from assistant.conversations.engine import get_engine
from assistant.conversations.loading import Loaded
from assistant.conversations.models import Message
from assistant.conversations.receipts import Stopwatch
from assistant.conversations.scenarios import Prepared
from assistant.conversations.writing import AnswerWriter
from assistant.response_cache import flight
from assistant.response_cache import services as response_cache
from assistant.response_cache.keys import cache_key
from assistant.response_cache.services import Answer
from assistant.safety.findings import Finding
from assistant.safety.guard import Release, StreamGuard
from inference.serving.client import (
    ChatRequest,
    EngineError,
    EngineOverloaded,
    EngineRefused,
    EngineUnavailable,
    Finished,
    Queued,
    Token,
)

log = logging.getLogger(__name__)
ENGINE_PATIENCE_S = 20.0  # an engine that is being restarted; only before the first word
ENGINE_RETRY_S = 0.5
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
    watch: Stopwatch = field(default_factory=Stopwatch)
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


async def run_turn(
    turn_id: uuid.UUID, token: int, *, control: Control, listeners: list[Listener] | None = None
) -> None:
    """Make the answer of a turn whose lease is held with `token`. Ends with the turn finished, except when
    the lease was lost or the process is ending (cancelled): then somebody else goes on."""
    try:
        loaded = await in_database(loading.load, turn_id, token)
    except leases.LeaseLost as lost:
        log.info("%s", lost)
        return
    run = Run(loaded, AnswerWriter(loaded, listeners), control)
    keeper = asyncio.create_task(_keep(run.writer, control))
    try:
        await _run(run)
    except leases.LeaseLost as lost:
        log.warning("%s", lost)
    finally:
        keeper.cancel()
        await _leave_flight(run)
        await run.writer.close()


async def _keep(writer: AnswerWriter, control: Control) -> None:
    """Renew the lease and save the text about once a second; end the turn when either says so."""
    while True:
        await asyncio.sleep(leases.RENEW_S)
        try:
            if await writer.save():
                return control.stop()
        except leases.LeaseLost as lost:
            log.warning("%s", lost)
            return control.lose()
        except DatabaseError as error:
            log.warning("an answer could not be saved, trying again: %s", error)


async def _run(run: Run) -> None:
    try:
        run.writer.begin()
        await _answer(run)
    except asyncio.CancelledError:
        if run.control.is_lost:
            return
        if not run.control.is_stopped:
            await run.writer.save()
            raise
        await run.end(State.STOPPED, Outcome.NONE)
    except EngineOverloaded as error:
        await run.end(State.FAILED, Outcome.ERROR, code="overloaded", retry_after_s=error.retry_after_s)
    except EngineRefused as error:
        log.warning("turn %s was refused by the engine: %s", run.loaded.turn.pk, error)
        await run.end(State.FAILED, Outcome.ERROR, code=error.code)
    except EngineError as error:
        log.warning("turn %s was interrupted: %s", run.loaded.turn.pk, error)
        await run.end(State.INTERRUPTED, Outcome.ERROR, code="engine_unavailable")
    except leases.LeaseLost:
        raise
    except Exception:
        log.exception("turn %s failed", run.loaded.turn.pk)
        await run.end(State.FAILED, Outcome.ERROR, code="internal")


async def _answer(run: Run) -> None:
    loaded = run.loaded
    if loaded.reply is not None:
        outcome = Outcome.HELPED if loaded.screening.get("verdict") == "help" else Outcome.BLOCKED
        run.show(loaded.reply)
        await run.end(State.COMPLETE, outcome)
    elif loaded.hit is not None:
        await _give_again(run, loaded.hit.answer, cache=loaded.hit.receipt, key=loaded.hit.key)
    else:
        await _fly(run)


# ---- recall ------------------------------------------------------------------------------------


async def _give_again(run: Run, answer: Answer, *, cache: dict[str, Any], key: str = "") -> None:
    """Replay a kept answer as a stream; what was shown of it already stays."""
    run.cache, run.first_making = cache, answer.receipt
    shown = run.writer.text
    if not answer.text.startswith(shown):
        run.writer.void()
        shown = ""
    run.writer.cite(answer.citations)
    if not shown:
        for piece in answer.replay():
            run.show(piece)
    else:
        run.show(answer.text[len(shown) :])
    await run.end(State.COMPLETE, Outcome(answer.outcome))
    if key:
        await in_database(response_cache.link, message_id=run.loaded.answer_id, key=key)


async def _fly(run: Run) -> None:
    """Generate, or read along with somebody who generates the same."""
    if run.loaded.cached is None:
        return await _make(run)
    seat = await flight.join(run.loaded.cached)
    if isinstance(seat, flight.Leader):
        run.seat = seat
        # The flight we missed may have landed between our look and our seat.
        hit = await in_database(response_cache.lookup, run.loaded.cached) if seat.is_followed else None
        if hit is not None:
            await seat.land(hit.answer)
            return await _give_again(run, hit.answer, cache=hit.receipt, key=hit.key)
        return await _make(run)
    run.writer.tell("generating")
    async for event in seat:
        if isinstance(event, flight.Chunk):
            run.show(event.text)
        elif isinstance(event, flight.Reset):
            run.writer.void()
        elif isinstance(event, flight.Landed):
            cache = {"tier": "flight", "age_s": round(event.answer.age_s, 1)}
            key = cache_key(run.loaded.cached)
            return await _give_again(run, event.answer, cache=cache, key=key)
        elif isinstance(event, flight.Retracted):
            run.cache = {"tier": "flight", "age_s": 0}
            run.writer.retract(reason=event.reason, replacement=event.replacement)
            run.findings = [Finding(event.reason, "retract", "read along with this answer", stage="output")]
            return await run.end(State.RETRACTED, Outcome.BLOCKED)
        else:
            run.seat = event.leader
            return await _make(run)
    raise EngineUnavailable("the answer this one read along with never came to an end: ask again.")


async def _leave_flight(run: Run) -> None:
    """Nobody may wait for an answer that will not come."""
    if run.seat is not None:
        await run.seat.abandon()


async def _land(run: Run, answer: Answer) -> None:
    """Keep a finished answer for the next asker. The answer is saved already: trouble here costs nothing."""
    question = run.loaded.cached
    if question is None:
        return
    try:
        await in_database(response_cache.store, question, answer)
        if run.seat is not None:
            await run.seat.land(answer)
            run.seat = None
    except Exception:
        log.exception("the answer of turn %s was saved, but not cached", run.loaded.turn.pk)


# ---- prepare, generate, guard ------------------------------------------------------------------


async def _make(run: Run) -> None:
    loaded, writer = run.loaded, run.writer
    writer.tell("searching")
    prepared = await _prepare(run)
    run.is_shareable = prepared.is_shareable
    if run.seat is not None and not prepared.is_shareable and not _is_private(loaded):
        await run.seat.decline()
        run.seat = None
    writer.cite(prepared.citations)
    if prepared.refusal is not None:
        run.show(prepared.refusal)
        await _publish(run, prepared.refusal)
        return await _complete(run, Outcome.REFUSED)
    await _show(run, _guard(loaded, prepared), prepared)
    return None


async def _prepare(run: Run) -> Prepared:
    """Retrieval asks the engine process too; one that is being restarted is waited for."""
    deadline = asyncio.get_running_loop().time() + ENGINE_PATIENCE_S
    while True:
        try:
            return await run.loaded.scenario.prepare(run.loaded.context)
        except EngineUnavailable:
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(ENGINE_RETRY_S)


def _is_private(loaded: Loaded) -> bool:
    return bool(loaded.cached and loaded.cached.user_scope)


def _guard(loaded: Loaded, prepared: Prepared) -> StreamGuard:
    return StreamGuard(
        loaded.context.policy,
        allowed_private=set(loaded.private.values()),
        checker=prepared.checker,
        locale=loaded.context.locale,
        instructions=prepared.instructions,
        sources=prepared.sources,
    )


async def _show(run: Run, guard: StreamGuard, prepared: Prepared) -> None:
    run.writer.prompt = prepared.messages
    if await _pass(run, guard.quote(prepared.lead)) and prepared.messages:
        await _speak(run, guard, prepared)
    run.findings = guard.findings
    if guard.is_retracted:
        await run.end(State.RETRACTED, Outcome.BLOCKED)
    else:
        await _complete(run, Outcome.ANSWERED)


async def _speak(run: Run, guard: StreamGuard, prepared: Prepared) -> None:
    """The model's own words, as far as the guard lets them through."""
    async with contextlib.aclosing(_generate(run, prepared)) as texts:
        async for text in texts:
            if not await _pass(run, guard.feed(text)):
                return
        await _pass(run, guard.finish())


async def _pass(run: Run, judged: list[Any]) -> bool:
    """Show what the guard let through; False once it took the answer back."""
    for event in judged:
        if isinstance(event, Release):
            run.show(event.text)
            await _publish(run, event.text)
        else:
            run.writer.retract(reason=event.reason, replacement=event.replacement)
            if run.seat is not None:
                await run.seat.retract(reason=event.reason, replacement=event.replacement)
            return False
    return True


async def _publish(run: Run, text: str) -> None:
    if run.seat is not None:
        await run.seat.publish(text)


async def _complete(run: Run, outcome: Message.Outcome) -> None:
    await run.end(State.COMPLETE, outcome)
    timing = run.finished.timing if run.finished else {}
    await _land(
        run,
        Answer(
            text=run.writer.text,
            outcome=outcome,
            message_id=run.loaded.answer_id,
            citations=run.writer.citations,
            receipt={key: timing.get(key) for key in ("model", "quantization")},
            is_shareable=run.is_shareable,
        ),
    )


async def _generate(run: Run, prepared: Prepared) -> AsyncGenerator[str, None]:
    """The model's text. An engine that is just being restarted is waited for, until the first word."""
    request = _request(run.loaded, prepared)
    deadline = asyncio.get_running_loop().time() + ENGINE_PATIENCE_S
    has_text = False
    while True:
        try:
            async with contextlib.aclosing(get_engine().chat(request)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Queued):
                        run.writer.tell("queued", place=piece.place, expected_wait_s=piece.expected_wait_s)
                    elif isinstance(piece, Token):
                        run.writer.tell("generating")
                        has_text = True
                        yield piece.text
                    else:
                        run.finished = piece
            return
        except EngineUnavailable:
            if has_text or asyncio.get_running_loop().time() > deadline:
                raise
        run.writer.tell("queued")
        await asyncio.sleep(ENGINE_RETRY_S)


def _request(loaded: Loaded, prepared: Prepared) -> ChatRequest:
    """An API client may ask for less than the scenario allows, never for more."""
    asked = loaded.turn.sampling
    max_tokens = min(prepared.max_tokens, asked.get("max_tokens") or prepared.max_tokens)
    return ChatRequest(
        messages=prepared.messages,
        max_tokens=max_tokens,
        temperature=max(asked.get("temperature", prepared.temperature), loaded.min_temperature),
        top_p=asked.get("top_p"),
        seed=asked.get("seed"),
        stop=(*prepared.stop, *asked.get("stop", ())),
        salt=f"site:{loaded.context.site.pk}",
        model=settings.ENGINE_MODEL or None,
        continue_final_message=prepared.continue_final_message,
    )
