"""Coming back with a cursor: no gap, no double, on the first reconnect and on the last (R1, R2, R3)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from assistant.conversations import events, following, transcript
from assistant.conversations.events import Cursor, Event
from tests.assistant.conversations.conftest import Person
from tests.support.chat_client import Chat, Transcript

pytestmark = pytest.mark.usefixtures("web")


def sentences(count: int, name: str = "sentence") -> str:
    return " ".join(f"This is {name} {number}." for number in range(1, count + 1))


async def whole_log(conversation_id: str) -> list[Event]:
    found: list[Event] = []
    while True:
        last = found[-1].cursor if found else Cursor()
        _is_known, more = await events.read(conversation_id, last)
        if not more:
            return found
        found += more


async def fresh(person: Person, conversation: str | None) -> Transcript:
    """What somebody sees who comes for the first time."""
    known = Transcript()
    known.conversation = conversation
    chat = await Chat(person.token, transcript=known).open()
    await chat.until("snapshot")
    await chat.close()
    return known


async def test_a_cut_after_every_event_index_loses_and_doubles_nothing(visitor: Person) -> None:
    """R1, three answers of about fifty events."""
    chat = await Chat(visitor.token).open()
    for number in range(3):
        await chat.ask(f"Question {number} [[say:{sentences(45, f'answer {number} part')}]]")
        await chat.until_answered()
    await chat.close()
    conversation = chat.transcript.conversation
    assert conversation
    log = await whole_log(conversation)
    assert len(log) >= 150
    expected = (await fresh(visitor, conversation)).texts()
    client = Transcript()
    client.conversation = conversation
    for event in log[:-1]:
        client.take({**event.body, **event.cursor.as_json()})
        returning = Transcript()
        returning.__dict__.update(
            conversation=conversation,
            cursor=client.cursor,
            messages={key: dict(message) for key, message in client.messages.items()},
        )
        again = await Chat(visitor.token, transcript=returning).open()
        while returning.cursor != log[-1].cursor.as_json():
            await again.receive()
        assert returning.frames[0]["status"] == "replay"
        assert returning.texts() == expected
        await again.close()


async def test_cuts_in_mid_answer_lose_and_double_nothing(visitor: Person) -> None:
    """R1, live: the socket goes after each frame until the answer is whole."""
    said = sentences(40)
    chat = await Chat(visitor.token).open()
    await chat.ask(f"Slowly [[rate:150]] [[say:{said}]]")
    await chat.until("delta")
    num_cuts = 0
    while not chat.transcript.is_answered:
        await chat.close()
        num_cuts += 1
        chat = await Chat(visitor.token, transcript=chat.transcript).open()
        await chat.receive()
    assert num_cuts > 5
    assert chat.transcript.answer()["text"] == said
    await chat.close()


async def test_a_second_tab_shows_the_same_over_reconnects_and_answers(visitor: Person) -> None:
    """R2."""
    chat = await Chat(visitor.token).open()
    await chat.ask(f"First [[rate:100]] [[say:{sentences(30)}]]")
    for _ in range(3):
        await chat.until("delta")
        await chat.close()
        chat = await Chat(visitor.token, transcript=chat.transcript).open()
    await chat.until_answered()
    tab = Transcript()
    tab.conversation = chat.transcript.conversation
    second = await Chat(visitor.token, transcript=tab).open()
    await second.until("snapshot")
    await chat.ask(f"Second [[rate:200]] [[say:{sentences(20, 'other')}]]")
    await asyncio.gather(chat.until_answered(), second.until_answered())
    assert tab.texts() == chat.transcript.texts()
    assert tab.answer()["text"] == sentences(20, "other")
    assert tab.cursor == chat.transcript.cursor
    await chat.close()
    await second.close()


async def test_a_cursor_of_an_older_epoch_is_replayed_from_there(visitor: Person) -> None:
    chat = await Chat(visitor.token).open()
    await chat.ask("First [[tokens:5]]")
    await chat.until_answered()
    old = dict(chat.transcript.cursor or {})
    await chat.ask("Second [[tokens:5]]")
    await chat.until_answered()
    await chat.close()
    back = await Chat(visitor.token).open(conversation=chat.transcript.conversation, cursor=old)
    assert back.transcript.frames[0]["status"] == "replay"
    back.transcript.cursor = old
    assert (await back.receive())["epoch"] == old["epoch"] + 1
    await back.close()


async def test_an_event_between_snapshot_and_subscription_comes_exactly_once(
    visitor: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R3: the snapshot is held back until later events are in the log."""
    real = transcript.snapshot

    def slow(conversation_id: Any) -> transcript.Snapshot:
        taken = real(conversation_id)
        time.sleep(0.3)
        return taken

    said = sentences(60)
    chat = await Chat(visitor.token).open()
    await chat.ask(f"Slowly [[rate:150]] [[say:{said}]]")
    await chat.until("delta")
    monkeypatch.setattr(following.transcript, "snapshot", slow)
    late: list[Chat] = []
    for _ in range(6):
        known = Transcript()
        known.conversation = chat.transcript.conversation
        late.append(await Chat(visitor.token, transcript=known).open())
        await asyncio.sleep(0.1)
    for one in late:
        answer = await one.until_answered()
        assert answer["text"] == said
        await one.close()
    await chat.close()


async def test_a_cursor_the_log_has_forgotten_gets_a_snapshot(visitor: Person) -> None:
    chat = await Chat(visitor.token).open()
    await chat.ask("First [[tokens:5]]")
    await chat.until_answered()
    old = {"epoch": 1, "seq": 1}
    await asyncio.to_thread(events.forget, chat.transcript.conversation)
    await chat.close()
    back = await Chat(visitor.token).open(conversation=chat.transcript.conversation, cursor=old)
    assert back.transcript.frames[0]["status"] == "reload"
    await back.until("snapshot")
    assert back.transcript.texts() == chat.transcript.texts()
    await back.close()
