"""Valkey is stopped, restarted empty, stalled, or refuses a write: the answer is in the database (R6, R7)."""

from __future__ import annotations

import asyncio

import pytest

from assistant.conversations import events, runner
from assistant.conversations.events import Cursor, LogUnavailable
from assistant.conversations.models import Conversation, Message
from assistant.response_cache import services as response_cache
from tests.assistant.conversations.conftest import Person
from tests.support.chat_client import Chat, Transcript
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.usefixtures("web")
SAID = " ".join(f"This is sentence {number}." for number in range(1, 101))
ASK = f"Go on [[rate:80]] [[say:{SAID}]]"


async def begun(visitor: Person) -> Chat:
    """An answer of about five seconds, just begun."""
    chat = await Chat(visitor.token).open()
    await chat.ask(ASK)
    for _ in range(3):
        await chat.until("delta")
    return chat


async def test_valkey_restarted_empty_in_mid_answer(visitor: Person, valkey: ValkeyServer) -> None:
    """History was lost: the epoch changes, the client gets a snapshot and then the rest."""
    chat = await begun(visitor)
    epoch = (chat.transcript.cursor or {})["epoch"]
    valkey.stop()
    await asyncio.sleep(1)
    await asyncio.to_thread(valkey.start)
    answer = await chat.until_answered(30)
    assert answer["text"] == SAID
    assert "snapshot" in [frame["type"] for frame in chat.transcript.frames]
    assert (await Conversation.objects.aget()).epoch > epoch
    await chat.close()


async def test_valkey_away_until_after_the_answer(visitor: Person, valkey: ValkeyServer) -> None:
    """The open socket is told out of the database."""
    chat = await begun(visitor)
    valkey.stop()
    await runner.get_runner().wait_idle()
    kept = await Message.objects.aget(role="assistant")
    assert (kept.state, kept.text) == ("complete", SAID)
    answer = await chat.until_answered(30)
    assert (answer["state"], answer["text"]) == ("complete", SAID)
    await asyncio.to_thread(valkey.start)
    await chat.close()


async def test_valkey_stalled_holds_up_no_answer(visitor: Person, valkey: ValkeyServer) -> None:
    chat = await begun(visitor)
    valkey.stall()
    await asyncio.wait_for(runner.get_runner().wait_idle(), 20)
    assert (await Message.objects.aget(role="assistant")).text == SAID
    valkey.resume()
    assert (await chat.until_answered(30))["text"] == SAID
    await chat.close()


async def test_a_question_asked_while_valkey_is_away_is_answered(
    visitor: Person, valkey: ValkeyServer
) -> None:
    valkey.stop()
    chat = await Chat(visitor.token).open()
    await chat.ask("Still there? [[say:Yes, I am.]]")
    assert (await chat.until_answered(30))["text"] == "Yes, I am."
    await chat.close()
    await asyncio.to_thread(valkey.start)
    known = Transcript()
    known.conversation = chat.transcript.conversation
    back = await Chat(visitor.token, transcript=known).open()
    await back.until("snapshot")
    await back.ask("And now? [[say:Now as well.]]")
    assert (await back.until_answered(30))["text"] == "Now as well."
    await back.close()


async def test_a_failing_cache_write_costs_no_answer(
    visitor: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R7."""

    def broken(*_args: object, **_kwargs: object) -> bool:
        raise OSError("the cache is full")

    monkeypatch.setattr(response_cache, "store", broken)
    chat = await Chat(visitor.token).open()
    await chat.ask("Keep this [[say:It is kept.]]")
    answer = await chat.until_answered()
    assert answer["state"] == "complete"
    kept = await Message.objects.aget(pk=answer["id"])
    assert (kept.state, kept.text) == ("complete", "It is kept.")
    await chat.close()


async def test_two_writers_never_both_extend_a_history(valkey: ValkeyServer) -> None:
    await events.append("c", Cursor(1, 1), [{"type": "a"}, {"type": "b"}])
    with pytest.raises(events.HistoryLost):
        await events.append("c", Cursor(1, 2), [{"type": "c"}])
    await events.append("c", Cursor(2, 1), [{"type": "d"}])
    with pytest.raises(events.HistoryLost):
        await events.append("c", Cursor(1, 3), [{"type": "late"}])
    _is_known, found = await events.read("c", Cursor(1, 1))
    assert [event.body["type"] for event in found] == ["b", "d"]
    assert found[-1].previous == Cursor(1, 2)


async def test_a_stalled_log_is_unavailable_and_not_waited_for(valkey: ValkeyServer) -> None:
    valkey.stall()
    with pytest.raises(LogUnavailable):
        await asyncio.wait_for(events.append("c", Cursor(1, 1), [{"type": "a"}]), 5)
