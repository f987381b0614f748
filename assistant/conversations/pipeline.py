"""The way of one question, from the saved row to the saved answer.

    load → screen's verdict → recall → prepare → generate → guard → record

`run_turn` is the border at which every failure becomes a finished turn: stopped, interrupted or failed,
with the text that was released so far. It owns no task; `runner` does.
"""

from __future__ import annotations

import asyncio
import logging
import uuid

from django.db import DatabaseError

from assistant.conversations import leases, loading, recalling
from assistant.conversations.attempt import Control, Outcome, Run, State
from assistant.conversations.database import in_database
from assistant.conversations.emitter import Listener
from assistant.conversations.receipts import Stopwatch
from assistant.conversations.writing import AnswerWriter
from inference.serving.client import EngineError, EngineOverloaded, EngineRefused

log = logging.getLogger(__name__)


async def run_turn(
    turn_id: uuid.UUID, token: int, *, control: Control, listeners: list[Listener] | None = None
) -> None:
    """Make the answer of a turn whose lease is held with `token`. Ends with the turn finished, except when
    the lease was lost or the process is ending (cancelled): then somebody else goes on."""
    watch = Stopwatch()
    try:
        loaded = await in_database(loading.load, turn_id, token)
    except leases.LeaseLost as lost:
        log.info("%s", lost)
        return
    run = Run(loaded, AnswerWriter(loaded, listeners), control, watch)
    keeper = asyncio.create_task(_keep(run.writer, control))
    try:
        await _run(run)
    except leases.LeaseLost as lost:
        log.warning("%s", lost)
    finally:
        keeper.cancel()
        await run.leave_flight()
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
        await recalling.give_again(run, loaded.hit.answer, cache=loaded.hit.receipt, key=loaded.hit.key)
    else:
        await recalling.fly(run)
