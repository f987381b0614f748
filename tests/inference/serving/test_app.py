import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import openai
import pytest

from tests.inference.serving.test_client import eventually
from tests.support.scripted_engine import ScriptedEngine

CHAT = "/v1/chat/completions"


@pytest.fixture
async def http(scripted: ScriptedEngine) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(uds=str(scripted.socket_path))
    async with httpx.AsyncClient(transport=transport, base_url="http://engine", timeout=10) as client:
        yield client


def body(text: str, **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}]} | more


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (json.dumps(body("x", model="gpt-9")), 404, "model_not_found"),
        (json.dumps(body("x", temperature=float("nan"))), 400, "invalid_request"),
        (json.dumps(body("x " * 20_000)), 400, "context_length_exceeded"),
        ("{", 400, "invalid_request"),
        ("x" * 10_000_000, 413, "request_too_large"),
    ],
)
async def test_bad_requests_get_an_error_in_openais_shape(
    http: httpx.AsyncClient, content: str, status: int, code: str
) -> None:
    response = await http.post(CHAT, content=content)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


async def test_a_body_of_one_mebibyte_is_read_and_one_byte_more_is_not(http: httpx.AsyncClient) -> None:
    empty = json.dumps(body(""))
    exact = json.dumps(body("x" * (1024 * 1024 - len(empty))))
    assert len(exact) == 1024 * 1024
    assert (await http.post(CHAT, content=exact)).json()["error"]["code"] == "context_length_exceeded"
    assert (await http.post(CHAT, content=exact + " ")).status_code == 413


async def test_a_bad_request_disturbs_nobody(http: httpx.AsyncClient) -> None:
    good = asyncio.create_task(http.post(CHAT, json=body("[[say:fine thanks]] [[rate:20]]")))
    for content in ("{", "x" * 2_000_000, json.dumps(body("x", temperature=-1))):
        await http.post(CHAT, content=content)
    assert (await good).json()["choices"][0]["message"]["content"] == "fine thanks"


async def test_unknown_paths_and_methods_answer_in_the_same_shape(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/nothing")).json()["error"]["type"] == "invalid_request_error"
    assert (await http.get(CHAT)).status_code == 405


async def test_a_whole_answer_has_text_and_usage(http: httpx.AsyncClient) -> None:
    answer = (await http.post(CHAT, json=body("[[say:a b c]]", max_tokens=2))).json()
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "a b"}
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize("is_stream", [True, False])
async def test_a_client_that_goes_away_frees_its_slot(
    scripted: ScriptedEngine, http: httpx.AsyncClient, is_stream: bool
) -> None:
    task = asyncio.create_task(http.post(CHAT, json=body("[[tokens:9999]] [[rate:50]]", stream=is_stream)))
    assert await eventually(lambda: scripted.stats()["running"] == 1)
    task.cancel()
    assert await eventually(lambda: scripted.stats()["running"] == 0)
    assert scripted.stats()["cancelled"] == 1


async def test_overload_is_a_429_with_retry_after() -> None:
    with ScriptedEngine(max_streams=1, max_waiting=0) as engine:
        transport = httpx.AsyncHTTPTransport(uds=str(engine.socket_path))
        async with httpx.AsyncClient(transport=transport, base_url="http://engine") as http:
            first = asyncio.create_task(http.post(CHAT, json=body("[[tokens:9999]] [[rate:50]]")))
            assert await eventually(lambda: engine.stats()["running"] == 1)
            refused = await http.post(CHAT, json=body("second"))
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.json()["error"]["type"] == "rate_limit_error"
            first.cancel()


async def test_metrics_count_requests_tokens_and_times(http: httpx.AsyncClient) -> None:
    await http.post(CHAT, json=body("[[say:a b c]]"))
    await http.post(CHAT, json=body("[[break:1]]"))
    text = (await http.get("/metrics")).text
    assert 'parley_engine_requests_total{outcome="stop",route="chat"} 1.0' in text
    assert 'parley_engine_requests_total{outcome="error",route="chat"} 1.0' in text
    assert 'parley_engine_tokens_total{kind="completion"} 3.0' in text
    assert "parley_engine_ttft_seconds_count 2.0" in text
    assert "parley_engine_running 0.0" in text


async def test_health_says_alive_and_ready(http: httpx.AsyncClient) -> None:
    assert (await http.get("/health")).json() == {"status": "alive", "ready": True}
    assert (await http.get("/health/ready")).json()["models"] == ["scripted", "scripted-embeddings"]


async def test_the_official_client_streams_and_embeds_unmodified() -> None:
    with ScriptedEngine(http=True) as engine:
        async with openai.AsyncOpenAI(base_url=engine.address, api_key="none") as client:
            stream = await client.chat.completions.create(
                model="scripted",
                messages=[{"role": "user", "content": "[[say:one two]]"}],
                stream=True,
                stream_options={"include_usage": True},
            )
            chunks = [chunk async for chunk in stream]
            text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
            assert text == "one two"
            assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens == 2
            vectors = await client.embeddings.create(model="default", input=["bread", "password"])
            assert [len(row.embedding) for row in vectors.data] == [384, 384]
            with pytest.raises(openai.NotFoundError):
                await client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": "x"}])
