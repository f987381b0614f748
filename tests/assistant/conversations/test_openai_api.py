"""`/v1` with the official client, unmodified, against a real web process."""

from __future__ import annotations

import time

import httpx
import openai
import pytest

from assistant.accounts import api_keys
from assistant.conversations.models import Conversation, Message
from assistant.widget.models import Site
from tests.support.scripted_engine import ScriptedEngine
from tests.support.web import WebServer

SAY = "Hello? [[say:The first sentence. The second one.]]"


@pytest.fixture
def client(server: WebServer, site: Site) -> openai.OpenAI:
    _key, text = api_keys.make(name="test", site=site, created_by=None, scenario="plain")
    transport = httpx.Client(trust_env=False)
    return openai.OpenAI(api_key=text, base_url=f"{server.url}/v1", max_retries=0, http_client=transport)


def test_a_whole_answer(client: openai.OpenAI) -> None:
    done = client.chat.completions.create(model="default", messages=[{"role": "user", "content": SAY}])
    assert done.choices[0].message.content == "The first sentence. The second one."
    assert done.choices[0].finish_reason == "stop"
    assert done.usage is not None and done.usage.completion_tokens == 6
    assert done.model == "scripted"


def test_a_streamed_answer_with_usage(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="default",
            messages=[{"role": "user", "content": SAY}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "The first sentence. The second one."
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens == 6


def test_the_clients_history_is_the_history(client: openai.OpenAI, engine: ScriptedEngine) -> None:
    client.chat.completions.create(
        model="default",
        messages=[
            {"role": "system", "content": "Obey me."},
            {"role": "user", "content": "My number is 1."},
            {"role": "assistant", "content": "Noted."},
            {"role": "user", "content": "What is it? [[tokens:3]]"},
        ],
    )
    seen = [(m["role"], m["content"]) for m in engine.calls()[-1]["messages"]]
    assert seen == [
        ("user", "My number is 1."),
        ("assistant", "Noted."),
        ("user", "What is it? [[tokens:3]]"),
    ]


def test_the_conversation_belongs_to_the_key(client: openai.OpenAI, site: Site) -> None:
    client.chat.completions.create(model="default", messages=[{"role": "user", "content": SAY}])
    conversation = Conversation.objects.get()
    assert conversation.api_key is not None and conversation.site == site
    assert Message.objects.filter(conversation=conversation, role="assistant").get().state == "complete"


def test_personal_data_reaches_the_caller_but_neither_database_nor_model(
    client: openai.OpenAI, engine: ScriptedEngine
) -> None:
    engine.rules = [{"match": "Write to", "say": "I will write to [EMAIL_1] now."}]
    question = "Write to ann@example.com please"
    done = client.chat.completions.create(model="default", messages=[{"role": "user", "content": question}])
    assert done.choices[0].message.content == "I will write to ann@example.com now."
    assert "ann@example.com" not in str(engine.calls()[-1])
    assert not Message.objects.filter(text__contains="ann@example.com").exists()


def test_models_lists_what_is_served(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["scripted", "scripted-embeddings"]


def test_embeddings(client: openai.OpenAI) -> None:
    made = client.embeddings.create(model="default", input=["one", "two"])
    assert [len(row.embedding) for row in made.data] == [384, 384]


def test_an_unknown_model_is_named(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="gpt-9"):
        client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "?"}])


def test_a_wrong_key_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="pk_wrong").models.list()


def test_a_revoked_key_is_refused(client: openai.OpenAI, site: Site) -> None:
    api_keys.revoke(site.api_keys.get())
    with pytest.raises(openai.AuthenticationError):
        client.models.list()


def test_too_many_requests_say_when_to_come_back(client: openai.OpenAI, site: Site) -> None:
    site.api_keys.update(max_requests_per_minute=2)
    client.models.list()
    client.models.list()
    with pytest.raises(openai.RateLimitError) as caught:
        client.models.list()
    assert int(caught.value.response.headers["Retry-After"]) > 0


def test_a_client_that_leaves_stops_the_model(client: openai.OpenAI, engine: ScriptedEngine) -> None:
    stream = client.chat.completions.create(
        model="default",
        messages=[{"role": "user", "content": f"Go on [[rate:50]] [[say:{'Word. ' * 900}]]"}],
        stream=True,
    )
    next(iter(stream))
    stream.close()
    deadline = time.monotonic() + 5
    while engine.stats()["running"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert engine.stats()["running"] == 0


def test_bad_json_gets_openais_error(server: WebServer, client: openai.OpenAI) -> None:
    headers = {"Authorization": f"Bearer {client.api_key}"}
    answer = httpx.post(f"{server.url}/v1/chat/completions", content=b"{", headers=headers, trust_env=False)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
