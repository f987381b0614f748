"""Asking, asking again, branching: what is saved, once, whatever is repeated (R12)."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from asgiref.sync import sync_to_async

from assistant.conversations import access, errors, turns
from assistant.conversations.models import Conversation, Message, Turn
from assistant.widget.models import Site
from tests.assistant.conversations.conftest import Person
from tests.support.chat_client import Chat
from tests.support.scripted_engine import ScriptedEngine


def opened(person: Person, site: Site) -> Conversation:
    return turns.open_conversation(
        principal=person.principal, site=site, scenario="plain", locale="en", client_id=uuid.uuid4()
    )


def ask(
    person: Person, conversation: Conversation, text: str = "Why?", client_id: uuid.UUID | None = None
) -> Turn:
    return turns.start(
        conversation=conversation,
        principal=person.principal,
        text=text,
        client_id=client_id or uuid.uuid4(),
    )


def finish(turn: Turn, text: str = "Because.") -> None:
    Turn.objects.filter(pk=turn.pk).update(state=Turn.State.DONE)
    Message.objects.filter(pk=turn.answer_id).update(state=Message.State.COMPLETE, text=text)


async def test_the_same_client_id_five_times_makes_one_answer(
    web: None, visitor: Person, engine: ScriptedEngine
) -> None:
    """R12: at once from five sockets, and once more when it is answered."""
    before = engine.stats()["requests"]
    chats = [await Chat(visitor.token).open() for _ in range(5)]
    frame = {"type": "ask", "client_id": str(uuid.uuid4()), "text": "Once? [[tokens:10]] [[rate:50]]"}
    await asyncio.gather(*(chat.send(frame) for chat in chats))
    answers = await asyncio.gather(*(chat.until_answered() for chat in chats))
    await chats[0].send(frame)
    await asyncio.sleep(0.3)
    assert len({answer["id"] for answer in answers}) == 1
    assert await Message.objects.acount() == 2
    assert await Conversation.objects.acount() == 1
    assert engine.stats()["requests"] == before + 1
    for chat in chats:
        await chat.close()


def test_a_repeated_regenerate_makes_one_answer(visitor: Person, site: Site) -> None:
    conversation = opened(visitor, site)
    first = ask(visitor, conversation)
    finish(first)
    client_id = uuid.uuid4()
    again = [
        turns.regenerate(
            conversation=conversation,
            principal=visitor.principal,
            message_id=first.answer_id,
            client_id=client_id,
        )
        for _ in range(3)
    ]
    assert {turn.pk for turn in again} == {again[0].pk}
    assert Message.objects.filter(parent=first.question_id).count() == 2


def test_an_edited_question_is_a_branch_and_the_old_one_stays(visitor: Person, site: Site) -> None:
    conversation = opened(visitor, site)
    first = ask(visitor, conversation, "Old words")
    finish(first)
    edited = turns.edit(
        conversation=conversation,
        principal=visitor.principal,
        message_id=first.question_id,
        text="New words",
        client_id=uuid.uuid4(),
    )
    finish(edited)
    assert edited.question.parent_id == first.question.parent_id
    assert Message.objects.get(pk=first.question_id).text == "Old words"
    leaf = turns.select(conversation=conversation, message_id=first.question_id)
    assert leaf.pk == first.answer_id
    follow_up = ask(visitor, conversation)
    assert follow_up.question.parent_id == first.answer_id


def test_a_conversation_that_is_answering_takes_no_second_question(visitor: Person, site: Site) -> None:
    conversation = opened(visitor, site)
    ask(visitor, conversation)
    with pytest.raises(errors.Busy):
        ask(visitor, conversation)
    assert Message.objects.count() == 2


def test_each_generation_gets_an_epoch_of_its_own(visitor: Person, site: Site) -> None:
    conversation = opened(visitor, site)
    epochs = []
    for _ in range(3):
        turn = ask(visitor, conversation)
        finish(turn)
        epochs.append(turn.epoch)
    assert epochs == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("  ", errors.BadText),
        ("a\x00b", errors.BadText),
        ("\ud800", errors.BadText),
        ("x" * (turns.MAX_CHARS + 1), errors.TooLarge),
    ],
)
def test_what_is_no_question_is_refused_before_anything_is_saved(
    visitor: Person, site: Site, text: str, error: type[Exception]
) -> None:
    conversation = opened(visitor, site)
    with pytest.raises(error):
        ask(visitor, conversation, text)
    assert not Message.objects.exists()


def test_personal_data_is_saved_sealed_and_only_there(visitor: Person, site: Site) -> None:
    turn = ask(visitor, opened(visitor, site), "Write to ann@example.com")
    message = Message.objects.get(pk=turn.question_id)
    assert message.text == "Write to [EMAIL_1]"
    assert b"ann@example.com" not in bytes(message.private or b"")
    assert "ann@example.com" not in Conversation.objects.get().title


def test_nobody_else_finds_or_stops_it(visitor: Person, stranger: Person, site: Site) -> None:
    turn = ask(visitor, opened(visitor, site))
    with pytest.raises(errors.NotFound):
        access.find_conversation(stranger.principal, turn.conversation_id)
    with pytest.raises(errors.NotFound):
        turns.stop(turn_id=turn.pk, principal=stranger.principal)
    assert not Turn.objects.get().is_stop_asked


def test_a_message_of_another_conversation_is_no_parent(visitor: Person, site: Site) -> None:
    foreign = ask(visitor, opened(visitor, site))
    mine = opened(visitor, site)
    with pytest.raises(errors.NotFound):
        turns.start(
            conversation=mine,
            principal=visitor.principal,
            text="And?",
            client_id=uuid.uuid4(),
            parent_id=foreign.answer_id,
        )


async def test_regenerating_shows_a_second_answer_beside_the_first(web: None, visitor: Person) -> None:
    chat = await Chat(visitor.token).open()
    await chat.ask("Say it [[say:One answer.]]")
    first = await chat.until_answered()
    await chat.send({"type": "regenerate", "message": first["id"], "client_id": str(uuid.uuid4())})
    second = await chat.until_answered()
    assert second["id"] != first["id"]
    assert second["parent"] == first["parent"]
    assert second["siblings"] == [first["id"], second["id"]]
    kept = await sync_to_async(lambda: list(Message.objects.filter(role="assistant")))()
    assert {message.state for message in kept} == {"complete"}
    await chat.close()
