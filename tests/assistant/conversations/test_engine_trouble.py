"""The engine dies, breaks off, is full or away: every open question gets an answer (R5)."""

from __future__ import annotations

import asyncio
import time
import uuid

import pytest

from assistant.conversations import making
from assistant.conversations.models import Message
from tests.assistant.conversations.conftest import Person
from tests.support.chat_client import Chat
from tests.support.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.usefixtures("web")


async def test_an_engine_killed_in_mid_answer_leaves_the_partial_text(
    visitor: Person, engine: ScriptedEngine
) -> None:
    chat = await Chat(visitor.token).open()
    await chat.ask("Go on [[rate:60]] [[say:" + "One more sentence. " * 100 + "]]")
    for _ in range(3):
        await chat.until("delta")
    died = time.monotonic()
    engine.kill()
    answer = await chat.until_answered()
    assert time.monotonic() - died < 10
    assert answer["state"] == "interrupted"
    assert answer["text"].startswith("One more sentence. One more")
    assert (await Message.objects.aget(pk=answer["id"])).text == answer["text"]
    await asyncio.to_thread(engine.start)
    engine.rules = [{"match": "Go on", "say": "Now it is whole."}]
    await chat.send({"type": "regenerate", "message": answer["id"], "client_id": str(uuid.uuid4())})
    retried = await chat.until_answered()
    assert retried["state"] == "complete"
    assert await Message.objects.filter(parent=answer["parent"]).acount() == 2
    await chat.close()


async def test_questions_that_wait_are_answered_once_the_engine_is_back(
    visitor: Person, engine: ScriptedEngine
) -> None:
    """The queue drains: nothing was said yet, so nothing is lost by waiting."""
    engine.kill()
    chat = await Chat(visitor.token).open()
    await chat.ask("Are you there? [[say:Here I am again.]]")
    await chat.until("turn", state="queued")
    await asyncio.sleep(0.5)
    await asyncio.to_thread(engine.start)
    assert (await chat.until_answered())["text"] == "Here I am again."
    await chat.close()


async def test_an_engine_that_stays_away_ends_in_interrupted(
    visitor: Person, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "ENGINE_PATIENCE_S", 1.0)
    engine.kill()
    chat = await Chat(visitor.token).open()
    await chat.ask("Are you there?")
    answer = await chat.until_answered()
    assert (answer["state"], answer["text"]) == ("interrupted", "")
    await chat.close()


async def test_a_refused_prompt_fails_with_the_engines_word(visitor: Person) -> None:
    chat = await Chat(visitor.token).open()
    await chat.ask("Too long [[refuse:context_length_exceeded]]")
    ended = await chat.until("turn", state="failed")
    assert ended["code"] == "context_length_exceeded"
    await chat.close()


async def test_a_scenario_that_raises_fails_the_turn_and_nothing_else(
    visitor: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.support.plain_scenario import Plain

    async def broken(self: Plain, turn: object) -> None:
        raise ZeroDivisionError

    chat = await Chat(visitor.token).open()
    with monkeypatch.context() as patched:
        patched.setattr(Plain, "prepare", broken)
        await chat.ask("Divide")
        assert (await chat.until("turn", state="failed"))["code"] == "internal"
    await chat.ask("And now? [[say:All is well.]]")
    assert (await chat.until_answered())["text"] == "All is well."
    await chat.close()
