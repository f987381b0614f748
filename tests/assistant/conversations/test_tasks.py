"""Titles, retention, recovery: what the worker does for conversations."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.utils import timezone

from assistant.conversations import leases, recovery, retention, tasks, titles, turns
from assistant.conversations.models import Conversation, Message, Turn
from assistant.widget.models import Site
from chatbot.celery import app
from tests.assistant.conversations.conftest import Person
from tests.support.chat_client import Chat
from tests.support.scripted_engine import ScriptedEngine


def begun(person: Person, site: Site) -> Turn:
    conversation = turns.open_conversation(
        principal=person.principal, site=site, scenario="plain", locale="en", client_id=uuid.uuid4()
    )
    return turns.start(
        conversation=conversation,
        principal=person.principal,
        text="Why? [[say:Because it is so.]]",
        client_id=uuid.uuid4(),
    )


async def test_a_title_is_asked_behind_the_answered_prompt(
    web: None, visitor: Person, engine: ScriptedEngine
) -> None:
    """The prefix stays warm: all but the last two messages are those of the answer's own request."""
    engine.rules = [{"match": "title", "say": '"The green button."'}]
    chat = await Chat(visitor.token).open()
    await chat.ask("How do I print? [[say:Press the green button.]]")
    await chat.until_answered()
    assert await titles.make_titles() == 1
    assert (await chat.until("title"))["title"] == "The green button"
    assert (await Conversation.objects.aget()).title == "The green button"
    answered, asked = engine.calls()[-2:]
    assert asked["messages"][:-2] == answered["messages"]
    assert asked["messages"][-2] == {"role": "assistant", "content": "Press the green button."}
    assert asked["salt"] == answered["salt"]
    assert await titles.make_titles() == 0
    await chat.close()


async def test_a_title_given_by_its_owner_is_left_alone(web: None, visitor: Person) -> None:
    chat = await Chat(visitor.token).open()
    await chat.ask("How? [[tokens:3]]")
    await chat.until_answered()
    conversation = await Conversation.objects.aget()
    await sync_to_async(turns.rename)(conversation=conversation, title="Mine")
    assert await titles.make_titles() == 0
    assert (await Conversation.objects.aget()).title == "Mine"
    await chat.close()


async def test_without_an_engine_titles_wait(web: None, visitor: Person, engine: ScriptedEngine) -> None:
    chat = await Chat(visitor.token).open()
    await chat.ask("How? [[tokens:3]]")
    await chat.until_answered()
    engine.kill()
    assert await titles.make_titles() == 0
    assert not (await Conversation.objects.aget()).is_titled
    await chat.close()


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ('"Printing"', "Printing"),
        ("Title: How to print.", "How to print"),
        ("\n\n# Printing\nmore", "Printing"),
        ("标题：《打印文件》。", "打印文件"),
        ("", ""),
    ],
)
def test_a_title_is_one_plain_line(text: str, title: str) -> None:
    assert titles.clean(text) == title


def test_retention_deletes_what_is_older_than_the_site_says(visitor: Person, site: Site) -> None:
    old, recent = begun(visitor, site), begun(visitor, site)
    Turn.objects.update(state=Turn.State.DONE)
    Conversation.objects.filter(pk=old.conversation_id).update(updated_at=timezone.now() - timedelta(days=31))
    assert retention.delete_old() == 0, "0 days keep everything"
    Site.objects.update(retention_days=30)
    assert retention.delete_old() == 1
    assert [c.pk for c in Conversation.objects.all()] == [recent.conversation_id]


def test_retention_spares_an_answer_in_the_making(visitor: Person, site: Site) -> None:
    begun(visitor, site)
    Site.objects.update(retention_days=1)
    Conversation.objects.update(updated_at=timezone.now() - timedelta(days=9))
    assert retention.delete_old() == 0


async def test_a_turn_that_no_web_process_takes_up_is_run_by_the_worker(
    engine: ScriptedEngine, valkey: object, visitor: Person, site: Site
) -> None:
    turn = await sync_to_async(begun)(visitor, site)
    await Turn.objects.aupdate(lease_until=timezone.now() - timedelta(seconds=5))
    assert await recovery.run_abandoned() == 0, "a web process may still come"
    await Turn.objects.aupdate(lease_until=timezone.now() - timedelta(seconds=60))
    await asyncio.to_thread(tasks.recover_turns)
    answer = await Message.objects.aget(pk=turn.answer_id)
    assert (answer.state, answer.text) == ("complete", "Because it is so.")


def test_a_turn_that_kills_its_process_again_and_again_is_given_up(visitor: Person, site: Site) -> None:
    turn = begun(visitor, site)
    Turn.objects.update(lease_until=timezone.now() - timedelta(seconds=5), num_attempts=leases.MAX_ATTEMPTS)
    assert recovery.claim_lapsed() == []
    assert Message.objects.get(pk=turn.answer_id).state == "interrupted"
    assert Turn.objects.get().state == "interrupted"


def test_every_scheduled_task_of_ours_exists() -> None:
    app.loader.import_default_modules()
    ours = [
        e["task"] for e in django_settings.CELERY_BEAT_SCHEDULE.values() if ".conversations." in e["task"]
    ]
    assert len(ours) == 3
    assert set(ours) <= set(app.tasks)
