"""Stop stops the model, at once, and keeps what was said (R13)."""

from __future__ import annotations

import asyncio
import time

import pytest

from assistant.conversations import runner
from assistant.conversations.models import Message, Turn
from tests.assistant.conversations.conftest import Person
from tests.support.chat_client import Chat
from tests.support.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.usefixtures("web")
LONG = "Go on [[rate:100]] [[say:" + "One more sentence. " * 300 + "]]"


async def asked(visitor: Person) -> Chat:
    chat = await Chat(visitor.token).open()
    await chat.ask(LONG)
    await chat.until("delta")
    return chat


async def until_idle(engine: ScriptedEngine, within_s: float) -> float:
    started = time.monotonic()
    while engine.stats()["running"]:
        assert time.monotonic() - started < within_s, "the model goes on"
        await asyncio.sleep(0.02)
    return time.monotonic() - started


async def test_stop_frees_the_model_within_half_a_second(visitor: Person, engine: ScriptedEngine) -> None:
    chat = await asked(visitor)
    await chat.send({"type": "stop", "turn": chat.transcript.turn["turn"]})
    await until_idle(engine, 0.5)
    answer = await chat.until_answered()
    assert answer["state"] == "stopped"
    assert answer["text"].startswith("One more sentence.")
    kept = await Message.objects.aget(pk=answer["id"])
    assert (kept.state, kept.text) == ("stopped", answer["text"])
    assert (await Turn.objects.aget()).state == "stopped"
    await chat.ask("Again? [[say:The slot is free.]]")
    assert (await chat.until_answered())["text"] == "The slot is free."
    await chat.close()


async def test_closing_the_tab_cancels_nothing(visitor: Person) -> None:
    chat = await Chat(visitor.token).open()
    await chat.ask("Say it [[rate:50]] [[say:First sentence. Second sentence. Third sentence. The end.]]")
    await chat.until("delta")
    await chat.close()
    await runner.get_runner().wait_idle()
    answer = await Message.objects.aget(role="assistant")
    assert (answer.state, answer.text) == (
        "complete",
        "First sentence. Second sentence. Third sentence. The end.",
    )


async def test_a_stop_from_another_process_reaches_the_model(visitor: Person, engine: ScriptedEngine) -> None:
    """The other process can only write the row, or tell over the channel layer."""
    chat = await asked(visitor)
    await Turn.objects.aupdate(is_stop_asked=True)
    await until_idle(engine, 3)
    assert (await chat.until_answered())["state"] == "stopped"
    await chat.close()
