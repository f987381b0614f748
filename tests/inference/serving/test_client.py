import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from inference.serving.client import (
    ChatRequest,
    EngineClient,
    EngineOverloaded,
    EngineRefused,
    EngineUnavailable,
    Finished,
    Queued,
    Timeouts,
    Token,
    batches,
)
from tests.support.scripted_engine import ScriptedEngine


def ask(text: str, **fields: Any) -> ChatRequest:
    return ChatRequest(messages=[{"role": "user", "content": text}], **fields)


async def read(client: EngineClient, request: ChatRequest) -> tuple[str, Finished]:
    text, end = "", None
    async for piece in client.chat(request):
        text += piece.text if isinstance(piece, Token) else ""
        end = piece if isinstance(piece, Finished) else end
    assert end is not None
    return text, end


async def eventually(is_so: Callable[[], bool], within_s: float = 2.0) -> bool:
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


@asynccontextmanager
async def upstream(answer: bytes, *, is_open: bool = False) -> AsyncIterator[str]:
    """A server that sends these bytes whatever it is asked, then closes (or stays silent)."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if is_open:
            await asyncio.sleep(30)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()


def http(status: int, body: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *headers, "Connection: close", "", body]
    return "\r\n".join(lines).encode()


async def test_an_answer_arrives_piece_by_piece_with_its_usage(scripted: ScriptedEngine) -> None:
    text, end = await read(EngineClient(scripted.address), ask("[[say:Hello 你好 world]]"))
    assert text == "Hello 你好 world"
    assert (end.reason, end.usage.completion_tokens) == ("stop", 4)
    assert end.timing["model"] == "scripted"


async def test_all_that_shapes_an_answer_reaches_our_engine(scripted: ScriptedEngine) -> None:
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "So"}]
    request = ChatRequest(
        messages, max_tokens=3, temperature=0.4, top_p=0.8, seed=5, stop=("x",), salt="site-1",
        continue_final_message=True,
    )  # fmt: skip
    _, end = await read(EngineClient(scripted.address), request)
    call = scripted.calls()[-1]
    assert end.reason == "length"
    assert (call["temperature"], call["top_p"], call["seed"], call["stop"]) == (0.4, 0.8, 5, ["x"])
    assert (call["salt"], call["continue_final_message"], call["messages"]) == ("site-1", True, messages)


async def test_closing_the_stream_stops_the_model(scripted: ScriptedEngine) -> None:
    stream = EngineClient(scripted.address).chat(ask("[[tokens:10000]] [[rate:50]]"))
    await anext(stream)
    await stream.aclose()
    assert await eventually(lambda: scripted.stats()["cancelled"] == 1)
    assert scripted.stats()["running"] == 0


async def test_cancelling_the_task_stops_the_model(scripted: ScriptedEngine) -> None:
    task = asyncio.create_task(read(EngineClient(scripted.address), ask("[[tokens:10000]] [[rate:50]]")))
    assert await eventually(lambda: scripted.stats()["tokens"] > 0)
    task.cancel()
    assert await eventually(lambda: scripted.stats()["cancelled"] == 1)


async def test_waiting_is_told_with_place_and_time() -> None:
    with ScriptedEngine(max_streams=1) as engine:
        client = EngineClient(engine.address)
        first = asyncio.create_task(read(client, ask("[[tokens:20]] [[rate:50]]")))
        assert await eventually(lambda: engine.stats()["running"] == 1)
        pieces = [piece async for piece in client.chat(ask("second"))]
        assert isinstance(pieces[0], Queued)
        assert (pieces[0].place, pieces[0].expected_wait_s > 0) == (1, True)
        assert isinstance(pieces[-1], Finished)
        await first


async def test_a_full_engine_says_when_to_come_back() -> None:
    with ScriptedEngine(max_streams=1, max_waiting=0) as engine:
        client = EngineClient(engine.address)
        first = asyncio.create_task(read(client, ask("[[tokens:1000]]")))
        assert await eventually(lambda: engine.stats()["running"] == 1)
        with pytest.raises(EngineOverloaded) as caught:
            await read(client, ask("second"))
        assert caught.value.retry_after_s >= 1
        first.cancel()


async def test_a_refusal_keeps_its_code(scripted: ScriptedEngine) -> None:
    with pytest.raises(EngineRefused) as caught:
        await read(EngineClient(scripted.address), ask("[[refuse:context_length_exceeded]]"))
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize("how", ["die", "break"])
async def test_an_answer_that_breaks_off_is_told_apart_from_one_that_ends(
    scripted: ScriptedEngine, how: str
) -> None:
    seen = []
    with pytest.raises(EngineUnavailable):
        async for piece in EngineClient(scripted.address).chat(ask(f"[[{how}:3]]")):
            seen.append(piece)
    assert [piece.text for piece in seen if isinstance(piece, Token)] == ["word1", " word2", " word3"]


async def test_the_same_client_works_again_after_the_engine_was_killed(scripted: ScriptedEngine) -> None:
    client = EngineClient(scripted.address)
    await read(client, ask("one"))
    scripted.kill()
    with pytest.raises(EngineUnavailable):
        await read(client, ask("two"))
    scripted.start()
    assert (await read(client, ask("[[say:three]]")))[0] == "three"


async def test_nobody_at_the_socket_is_unavailable_at_once(tmp_path: Path) -> None:
    client = EngineClient(f"unix:{tmp_path}/none.sock")
    with pytest.raises(EngineUnavailable):
        await read(client, ask("hello"))
    with pytest.raises(EngineUnavailable):
        await client.health()
    with pytest.raises(EngineUnavailable):
        client.embed_sync(["x"])


async def test_a_stream_that_falls_silent_is_given_up(scripted: ScriptedEngine) -> None:
    client = EngineClient(scripted.address, timeouts=Timeouts(idle_s=0.2))
    with pytest.raises(EngineUnavailable, match="silent"):
        await read(client, ask("[[hang:2]]"))
    assert await eventually(lambda: scripted.stats()["cancelled"] == 1)


async def test_a_silent_upstream_is_given_up_before_the_first_token() -> None:
    head = http(200, "", "Content-Type: text/event-stream")
    async with upstream(head, is_open=True) as address:
        client = EngineClient(address, timeouts=Timeouts(first_token_s=0.2))
        with pytest.raises(EngineUnavailable, match="silent"):
            await read(client, ask("hello", model="m"))


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (http(502, "<html>Bad gateway</html>"), EngineUnavailable, "502"),
        (http(500, '{"error": "out of memory"}'), EngineUnavailable, "out of memory"),
        (http(429, "{}", "Retry-After: 7"), EngineOverloaded, "429"),
        (http(401, '{"error": {"message": "no key"}}'), EngineRefused, "no key"),
        (http(200, "data: nonsense\n\n"), EngineUnavailable, "no JSON"),
        (http(200, 'data: {"error": {"message": "lost"}}\n\n'), EngineUnavailable, "lost"),
        (http(200, 'data: {"choices": [{"delta": {"content": "x"}}]}\n\n'), EngineUnavailable, "broke off"),
        (b"garbage\r\n\r\n", EngineUnavailable, "RemoteProtocolError"),
    ],
)
async def test_whatever_an_upstream_does_becomes_a_typed_error(
    answer: bytes, error: type[Exception], words: str
) -> None:
    async with upstream(answer) as address:
        with pytest.raises(error, match=words):
            await read(EngineClient(address), ask("hello", model="m"))


async def test_a_prompt_too_long_is_known_by_its_words() -> None:
    body = '{"error": {"message": "This model\'s maximum context length is 4096 tokens", "code": 400}}'
    async with upstream(http(400, body)) as address:
        with pytest.raises(EngineRefused) as caught:
            await read(EngineClient(address), ask("hello", model="m"))
    assert caught.value.code == "context_length_exceeded"


async def test_a_foreign_upstream_gets_no_extension_fields() -> None:
    with ScriptedEngine(http=True) as engine:
        client = EngineClient(engine.address)
        assert (await read(client, ask("[[say:yes]]", salt="secret")))[0] == "yes"
        call = engine.calls()[-1]
        assert (call["salt"], call["model"]) == ("", "scripted")
        assert (await client.health())["ready"] is True


async def test_vectors_come_in_order_over_many_requests(scripted: ScriptedEngine) -> None:
    texts = [f"word{i}" for i in range(300)]
    client = EngineClient(scripted.address)
    vectors = await client.embed(texts)
    assert len(vectors) == 300
    assert len(vectors[0]) == 384
    assert vectors[299] == (await client.embed(["word299"]))[0]
    assert client.embed_sync(texts) == vectors


def test_batches_stay_under_the_servers_body_limit() -> None:
    cut = list(batches(["x" * 200_000] * 5 + ["y"] * 600))
    assert sum(map(len, cut)) == 605
    assert all(len(batch) <= 256 for batch in cut)
    assert all(sum(map(len, batch)) <= 512 * 1024 for batch in cut)


async def test_models_tell_the_context_length(scripted: ScriptedEngine) -> None:
    models = await EngineClient(scripted.address).models()
    assert models[0]["context_length"] == 8192
