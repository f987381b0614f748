"""Staff read what the visitor saw, with placeholders; a retracted answer is gone everywhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from asgiref.sync import async_to_sync
from django.test import Client
from django.urls import reverse

from assistant.console import retraction, transcripts
from assistant.conversations import events
from assistant.conversations.events import Cursor
from assistant.conversations.models import Message
from assistant.redis import get_redis
from assistant.response_cache import services as response_cache
from assistant.safety.models import Verdict
from tests.assistant.console.conftest import SECRET, Talk
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db


def write_events(talk: Talk, *bodies: dict[str, object]) -> None:
    key = str(talk.conversation.pk)
    turn = {"turn": str(talk.turn.pk)}
    async_to_sync(events.append)(key, Cursor(1, 1), [turn | body for body in bodies])


def delta(talk: Talk, text: str) -> dict[str, object]:
    return {"type": "delta", "message": str(talk.answer.pk), "text": text}


def page_of(client: Client, talk: Talk) -> str:
    address = reverse("admin:conversations_conversation_change", args=[talk.conversation.pk])
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def test_placeholders_stay_placeholders(as_: Callable[[str], Client], talk: Talk) -> None:
    page = page_of(as_("administrator"), talk)
    assert "[EMAIL_1]" in page
    assert SECRET not in page


def test_receipt_and_verdict_stand_beside_the_answer(as_: Callable[[str], Client], talk: Talk) -> None:
    page = page_of(as_("agent"), talk)
    assert "<strong>on its way</strong>" in page
    assert "400 ms" in page
    assert "personal_data: EMAIL" in page


def test_text_of_the_model_is_harmless(as_: Callable[[str], Client], talk: Talk) -> None:
    talk.answer.text = "<script>alert(1)</script> ![x](https://evil.example/x.png) [y](javascript:alert(1))"
    talk.answer.save()
    page = page_of(as_("agent"), talk)
    assert "<script>alert" not in page
    assert "<img" not in page.split('id="pc-transcript"')[1]
    assert 'href="javascript' not in page


def test_other_branch_is_shown_when_asked_for(talk: Talk) -> None:
    second = Message.objects.create(
        conversation=talk.conversation, role="assistant", parent=talk.question, text="again"
    )
    chosen = transcripts.read(talk.conversation)
    other = transcripts.read(talk.conversation, leaf_id=second.pk)
    assert [entry.text for entry in chosen.entries][-1] == "It is **on its way**."
    assert [entry.text for entry in other.entries][-1] == "again"
    assert (other.entries[-1].version_number, len(other.entries[-1].versions)) == (2, 2)


def test_streaming_answer_is_read_from_the_event_log(valkey: ValkeyServer, talk: Talk) -> None:
    Message.objects.filter(pk=talk.answer.pk).update(state="streaming", text="")
    write_events(talk, {"type": "turn", "state": "running"}, delta(talk, "It is "), delta(talk, "near."))
    [_question, answer] = transcripts.read(talk.conversation).entries
    assert answer.text == "It is near."
    assert [(step.cursor, step.name) for step in answer.steps] == [("1-1", "turn"), ("1-3", "delta")]


def test_live_view_sends_the_page_only_when_it_changed(
    as_: Callable[[str], Client], valkey: ValkeyServer, talk: Talk
) -> None:
    Message.objects.filter(pk=talk.answer.pk).update(state="streaming", text="")
    client = as_("agent")
    address = reverse("admin:conversations_live", args=[talk.conversation.pk])
    first = client.get(address).json()
    assert "html" not in client.get(address, {"version": first["version"]}).json()
    write_events(talk, delta(talk, "Now it **streams**"))
    assert "<strong>streams</strong>" in client.get(address, {"version": first["version"]}).json()["html"]


def test_transcript_is_shown_without_valkey(
    as_: Callable[[str], Client], valkey: ValkeyServer, talk: Talk
) -> None:
    client = as_("agent")
    valkey.stop()
    assert "on its way" in page_of(client, talk)


def test_retracted_answer_is_gone_from_row_cache_and_log(
    valkey: ValkeyServer, talk: Talk, staff: dict[str, object]
) -> None:
    write_events(talk, delta(talk, "It is on its way."), {"type": "turn", "state": "done"})
    caches_key = "kept"
    response_cache.link(message_id=talk.answer.pk, key=caches_key)
    retraction.retract(message=talk.answer, by=staff["editor"], reason="wrong")  # type: ignore[arg-type]
    talk.answer.refresh_from_db()
    assert (talk.answer.state, "on its way" in talk.answer.text) == ("retracted", False)
    log = get_redis().xrange(events.key_of(str(talk.conversation.pk)))
    assert b"on its way" not in b"".join(fields[b"b"] for _id, fields in log)  # type: ignore[union-attr]
    assert b'"retract"' in log[-1][1][b"b"]  # type: ignore[index]
    assert response_cache.forget(talk.answer.pk) is False
    verdict = Verdict.objects.get(message_id=talk.answer.pk)
    assert (verdict.action, verdict.reason) == ("retract", "wrong")


def test_retraction_holds_without_valkey(valkey: ValkeyServer, talk: Talk, staff: dict[str, object]) -> None:
    editor = staff["editor"]
    valkey.stop()
    retraction.retract(message=talk.answer, by=editor, reason="")  # type: ignore[arg-type]
    talk.answer.refresh_from_db()
    assert talk.answer.state == "retracted"


@pytest.mark.parametrize("state", ["streaming", "retracted"])
def test_unfinished_or_retracted_answer_is_not_retracted(
    talk: Talk, staff: dict[str, object], state: str
) -> None:
    Message.objects.filter(pk=talk.answer.pk).update(state=state)
    with pytest.raises(retraction.CannotRetract):
        retraction.retract(message=talk.answer, by=staff["editor"], reason="")  # type: ignore[arg-type]


def test_question_cannot_be_retracted(talk: Talk, staff: dict[str, object]) -> None:
    with pytest.raises(retraction.CannotRetract):
        retraction.retract(message=talk.question, by=staff["editor"], reason="")  # type: ignore[arg-type]
