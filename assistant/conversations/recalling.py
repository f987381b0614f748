"""An answer that was given before, or is being made for somebody else right now."""

from __future__ import annotations

from typing import Any

from assistant.conversations.attempt import Outcome, Run, State
from assistant.conversations.database import in_database
from assistant.conversations.making import make
from assistant.response_cache import flight
from assistant.response_cache import services as response_cache
from assistant.response_cache.keys import Question, cache_key
from assistant.response_cache.services import Answer
from assistant.safety.findings import Finding
from inference.serving.client import EngineUnavailable


async def give_again(run: Run, answer: Answer, *, cache: dict[str, Any], key: str = "") -> None:
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


async def fly(run: Run) -> None:
    """Generate, or read along with somebody who generates the same."""
    if run.loaded.cached is None:
        return await make(run)
    seat = await flight.join(run.loaded.cached)
    if isinstance(seat, flight.Leader):
        run.seat = seat
        # The flight we missed may have landed between our look and our seat.
        hit = await in_database(response_cache.lookup, run.loaded.cached) if seat.is_followed else None
        if hit is not None:
            await seat.land(hit.answer)
            return await give_again(run, hit.answer, cache=hit.receipt, key=hit.key)
        return await make(run)
    await _read_along(run, seat, run.loaded.cached)
    return None


async def _read_along(run: Run, seat: flight.Follower, question: Question) -> None:
    run.writer.tell("generating")
    async for event in seat:
        if isinstance(event, flight.Chunk):
            run.show(event.text)
        elif isinstance(event, flight.Reset):
            run.writer.void()
        elif isinstance(event, flight.Landed):
            cache = {"tier": "flight", "age_s": round(event.answer.age_s, 1)}
            key = cache_key(question)
            return await give_again(run, event.answer, cache=cache, key=key)
        elif isinstance(event, flight.Retracted):
            run.cache = {"tier": "flight", "age_s": 0}
            run.writer.retract(reason=event.reason, replacement=event.replacement)
            run.findings = [Finding(event.reason, "retract", "read along with this answer", stage="output")]
            return await run.end(State.RETRACTED, Outcome.BLOCKED)
        else:
            run.seat = event.leader
            return await make(run)
    raise EngineUnavailable("the answer this one read along with never came to an end: ask again.")
