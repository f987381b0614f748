"""An answer that nobody has given before: prepared by the scenario, generated, guarded.

An engine that is just being restarted is waited for, as long as nothing was said yet.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from django.conf import settings

from assistant.conversations.attempt import Outcome, Run, State
from assistant.conversations.engine import get_engine
from assistant.conversations.loading import Loaded
from assistant.conversations.scenarios import Prepared
from assistant.safety.guard import Release, StreamGuard
from inference.serving.client import ChatRequest, EngineUnavailable, Queued, Token

ENGINE_PATIENCE_S = 20.0
ENGINE_RETRY_S = 0.5


async def make(run: Run) -> None:
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
        await run.publish(prepared.refusal)
        return await run.complete(Outcome.REFUSED)
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
        await run.complete(Outcome.ANSWERED)


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
            await run.publish(event.text)
        else:
            await run.retract(reason=event.reason, replacement=event.replacement)
            return False
    return True


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
