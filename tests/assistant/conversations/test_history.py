"""One's own conversations over HTTP: listed, searched, renamed, exported, deleted; nobody else's."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.test import Client

from assistant.conversations import events, history, turns
from assistant.conversations.models import Conversation, Message, Turn
from assistant.redis import get_redis
from assistant.widget.models import Site
from tests.assistant.conversations.conftest import Person
from tests.support.valkey import ValkeyServer


def said(person: Person, site: Site, question: str, answer: str = "Because.") -> Conversation:
    conversation = turns.open_conversation(
        principal=person.principal, site=site, scenario="plain", locale="en", client_id=uuid.uuid4()
    )
    turn = turns.start(
        conversation=conversation, principal=person.principal, text=question, client_id=uuid.uuid4()
    )
    Turn.objects.filter(pk=turn.pk).update(state=Turn.State.DONE)
    citation = {"number": 1, "title": "Guide", "url": "/a/guide"}
    Message.objects.filter(pk=turn.answer_id).update(text=answer, state="complete", citations=[citation])
    return conversation


class Api:
    def __init__(self, person: Person | None) -> None:
        self.client = Client()
        self.headers = {"Authorization": f"Visitor {person.token}"} if person else {}

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        return self.client.generic(
            method,
            f"/api/conversations{path}",
            b"" if body is None else json.dumps(body).encode(),
            content_type="application/json",
            headers=self.headers,
        )


@pytest.fixture
def api(visitor: Person, valkey: ValkeyServer) -> Api:
    return Api(visitor)


def titles(response: Any) -> list[str]:
    return [item["title"] for item in response.json()["items"]]


def test_the_list_is_newest_first(api: Api, visitor: Person, site: Site) -> None:
    for name in ("first", "second", "third"):
        said(visitor, site, name)
    assert titles(api("GET", "")) == ["third", "second", "first"]


def test_pages_follow_each_other_without_gap_or_double(
    api: Api, visitor: Person, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAGE_SIZE", 2)
    for number in range(5):
        said(visitor, site, f"q{number}")
    seen, cursor = [], ""
    while cursor is not None:
        page = api.client.get("/api/conversations", {"cursor": cursor}, headers=api.headers)
        seen += titles(page)
        cursor = page.json()["next"]
    assert seen == ["q4", "q3", "q2", "q1", "q0"]


def test_search_looks_into_titles_and_texts(api: Api, visitor: Person, site: Site) -> None:
    said(visitor, site, "How do I print?", "Press the green button.")
    said(visitor, site, "How do I scan?", "Open the lid.")
    assert titles(api("GET", "?q=GREEN")) == ["How do I print?"]
    assert titles(api("GET", "?q=how+scan")) == ["How do I scan?"]
    assert titles(api("GET", "?q=nothing")) == []


def test_a_foreign_cursor_is_refused(api: Api) -> None:
    for cursor in ("x", "2020-01-01_x", "2020-01-01T00:00:00_" + str(uuid.uuid4()), "_"):
        response = api.client.get("/api/conversations", {"cursor": cursor}, headers=api.headers)
        assert response.status_code == 400


def test_one_conversation_is_its_snapshot(api: Api, visitor: Person, site: Site) -> None:
    conversation = said(visitor, site, "Why? ann@example.com")
    shown = api("GET", f"/{conversation.pk}").json()
    assert [message["text"] for message in shown["messages"]] == ["Why? ann@example.com", "Because."]
    assert shown["cursor"] == {"epoch": 1, "seq": 0}


def test_a_renamed_conversation_keeps_its_name(api: Api, visitor: Person, site: Site) -> None:
    conversation = said(visitor, site, "Why?")
    assert api("PATCH", f"/{conversation.pk}", {"title": "  My   name "}).json()["title"] == "My name"
    conversation.refresh_from_db()
    assert conversation.is_titled
    assert api("PATCH", f"/{conversation.pk}", {"title": " "}).status_code == 400


def test_a_deleted_conversation_is_gone_with_its_messages_and_events(
    api: Api, visitor: Person, site: Site
) -> None:
    conversation = said(visitor, site, "Why?")
    get_redis().xadd(events.key_of(str(conversation.pk)), {"b": "{}"})
    assert api("DELETE", f"/{conversation.pk}").status_code == 204
    assert not Conversation.objects.exists()
    assert not Message.objects.exists()
    assert not get_redis().exists(events.key_of(str(conversation.pk)))


def test_the_json_export_holds_every_branch_with_personal_data_put_back(
    api: Api, visitor: Person, site: Site
) -> None:
    conversation = said(visitor, site, "Why? ann@example.com")
    response = api("GET", f"/{conversation.pk}/export?format=json")
    assert response["Content-Disposition"].startswith("attachment;")
    whole = response.json()
    assert [message["text"] for message in whole["messages"]] == ["Why? ann@example.com", "Because."]
    assert whole["site"] == "shop"


def test_the_markdown_export_is_the_branch_shown(api: Api, visitor: Person, site: Site) -> None:
    conversation = said(visitor, site, "Old words")
    turns.edit(
        conversation=conversation,
        principal=visitor.principal,
        message_id=Message.objects.get(role="user").pk,
        text="New words",
        client_id=uuid.uuid4(),
    )
    text = api("GET", f"/{conversation.pk}/export?format=md").content.decode()
    assert "New words" in text
    assert "\n\nOld words" not in text


def test_the_markdown_export_names_its_sources(api: Api, visitor: Person, site: Site) -> None:
    conversation = said(visitor, site, "Why?")
    text = api("GET", f"/{conversation.pk}/export?format=md").content.decode()
    assert "[1] Guide </a/guide>" in text


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/export?format=json")]
)
def test_nobody_else_reaches_it(
    valkey: ValkeyServer, visitor: Person, stranger: Person, site: Site, method: str, path: str
) -> None:
    conversation = said(visitor, site, "Mine")
    body = {"title": "Yours"} if method == "PATCH" else None
    assert Api(stranger)(method, f"/{conversation.pk}{path}", body).status_code == 404
    assert Api(None)(method, f"/{conversation.pk}{path}", body).status_code == 401
    conversation.refresh_from_db()
    assert conversation.title == "Mine"


def test_the_list_shows_ones_own_only(
    valkey: ValkeyServer, visitor: Person, stranger: Person, site: Site
) -> None:
    said(visitor, site, "Mine")
    assert titles(Api(stranger)("GET", "")) == []
    assert titles(Api(stranger)("GET", "?q=Mine")) == []
