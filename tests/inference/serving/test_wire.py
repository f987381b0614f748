import json
from typing import Any

import pytest

from inference.serving import wire
from inference.serving.pieces import Finished, Queued, Token, Usage
from inference.serving.wire import Refused

ASK = [{"role": "user", "content": "hello"}]


def chat(**fields: Any) -> bytes:
    return json.dumps({"messages": ASK} | fields).encode()


def read_events(events: bytes) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in events.decode().split("\n\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def test_every_field_of_a_chat_is_read() -> None:
    call = wire.parse_chat(
        chat(model="m", max_tokens=7, temperature=0.5, top_p=0.9, seed=3, stop=["a", "b"], salt="site",
             repetition_penalty=1.1, stream=True, stream_options={"include_usage": True})
    )  # fmt: skip
    assert (call.model, call.max_tokens, call.temperature, call.top_p, call.seed) == ("m", 7, 0.5, 0.9, 3)
    assert (call.stop, call.salt, call.repetition_penalty) == (("a", "b"), "site", 1.1)
    assert call.is_stream and call.include_usage


def test_a_content_of_text_parts_is_joined() -> None:
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    call = wire.parse_chat(chat(messages=[{"role": "developer", "content": parts}]))
    assert call.messages == ({"role": "system", "content": "one two"},)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}', "NaN"),
        (b"not json", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "one JSON object"),
        (b"{}", "messages is empty"),
        (chat(temperature=3), "from 0 to 2"),
        (chat(temperature="warm"), "'warm'"),
        (chat(temperature=True), "True"),
        (chat(top_p=0), "above 0"),
        (chat(max_tokens=0), "max_tokens is 0"),
        (chat(max_tokens=1.5), "whole number"),
        (chat(seed="x"), "seed"),
        (chat(stop=3), "stop"),
        (chat(stop=["x"] * 17), "up to 16"),
        (chat(stream="yes"), "true or false"),
        (chat(stream_options=[1]), "stream_options"),
        (chat(messages=[{"role": "wizard", "content": "x"}]), "'wizard'"),
        (chat(messages=["x"]), "messages[0]"),
        (chat(messages=[{"role": "user", "content": 5}]), "messages[0].content is int"),
        (chat(messages=[{"role": "user", "content": [{"type": "image_url"}]}]), "not text"),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', "surrogate"),
        (chat(continue_final_message=True), "the user's"),
        (chat(n=2), "n is 2"),
        (chat(tools=[{}]), "tools"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_with_the_value_seen(body: bytes, words: str) -> None:
    with pytest.raises(Refused) as caught:
        wire.parse_chat(body)
    assert words in str(caught.value)
    assert caught.value.status == 400
    assert caught.value.body()["error"]["type"] == "invalid_request_error"


def test_embeddings_take_one_text_or_a_list() -> None:
    assert wire.parse_embeddings(b'{"input": "one"}').texts == ("one",)
    assert wire.parse_embeddings(b'{"input": ["one", "two"], "encoding_format": "base64"}').is_base64


@pytest.mark.parametrize(
    "body", [b"{}", b'{"input": []}', b'{"input": [3]}', b'{"input": "x", "encoding_format": "z"}']
)
def test_other_embedding_inputs_are_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        wire.parse_embeddings(body)


def test_chunks_have_the_shape_that_openai_clients_read() -> None:
    renderer = wire.Renderer("id", "m", include_usage=True)
    end = Finished("length", Usage(10, 4, 3), {"ttft_ms": 5})
    opening, queue, token, last, usage, done = read_events(
        renderer.opening() + b"".join(map(renderer.chunk, (Queued(2, 1.5), Token("né\n"), end)))
    )
    assert opening["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert queue["parley"] == {"queue": {"place": 2, "expected_wait_s": 1.5}}
    assert token["choices"][0] == {"index": 0, "delta": {"content": "né\n"}, "finish_reason": None}
    assert (last["choices"][0]["finish_reason"], last["parley"]) == ("length", {"ttft_ms": 5})
    assert usage["choices"] == []
    assert usage["usage"]["prompt_tokens_details"] == {"cached_tokens": 4}
    assert usage["usage"]["total_tokens"] == 13
    assert done == "[DONE]"
