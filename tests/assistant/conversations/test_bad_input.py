"""Whatever comes over the socket gets a typed error or a close, never a traceback (R20)."""

from __future__ import annotations

import json
import logging
import uuid

import pytest
import websockets

from assistant.conversations.frames import MAX_FRAME_BYTES
from tests.assistant.conversations.conftest import Person
from tests.support.chat_client import Chat, RemoteChat
from tests.support.web import WebServer

ID = str(uuid.uuid4())
BAD_FRAMES = [
    "{",
    "null",
    "[]",
    '"hello"',
    "{}",
    '{"type": "conquer"}',
    '{"type": ["ask"]}',
    '{"type": "ask"}',
    '{"type": "ask", "client_id": "7", "text": "a"}',
    json.dumps({"type": "ask", "client_id": ID, "text": 7}),
    '{"type": "ask", "client_id": "00000000-0000-0000-0000-000000000001", "text": "\\ud800"}',
    '{"type": "ack", "epoch": -1, "seq": 1e999}',
    '{"type": "ack", "epoch": 1' + "0" * 5000 + ', "seq": 1}',
    json.dumps({"type": "feedback", "message": ID, "value": 2}),
    json.dumps({"type": "feedback", "message": ID, "value": 1, "reason": "a\x00b"}),
    "[" * 30_000,
    '{"a":' * 10_000 + "1" + "}" * 10_000,
]
REFUSED = [
    ({"type": "ask", "client_id": ID, "text": " "}, "bad_text"),
    ({"type": "ask", "client_id": ID, "text": "a\x00b"}, "bad_text"),
    ({"type": "ask", "client_id": ID, "text": "x" * 9000}, "too_large"),
    ({"type": "stop", "turn": ID}, "not_found"),
    ({"type": "regenerate", "message": ID, "client_id": ID}, "not_found"),
    ({"type": "edit", "message": ID, "client_id": ID, "text": "a"}, "not_found"),
    ({"type": "select", "message": ID}, "not_found"),
    ({"type": "feedback", "message": ID, "value": 1}, "not_found"),
    ({"type": "handoff", "client_id": ID, "email": "nobody"}, "bad_request"),
]


def errors_logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("text", BAD_FRAMES, ids=[text[:25] for text in BAD_FRAMES])
async def test_a_bad_frame_gets_a_typed_error(
    web: None, visitor: Person, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    chat = await Chat(visitor.token).open()
    await chat.send(text)
    assert (await chat.until("error"))["code"] == "bad_frame"
    await chat.send({"type": "ping"})
    await chat.until("pong")
    await chat.close()
    assert not errors_logged(caplog)


async def test_what_cannot_be_done_is_refused_with_its_reason(
    web: None, visitor: Person, caplog: pytest.LogCaptureFixture
) -> None:
    chat = await Chat(visitor.token).open()
    await chat.ask("Hello [[tokens:3]]")
    await chat.until_answered()
    for frame, code in REFUSED:
        await chat.send(frame)
        error = await chat.until("error")
        assert (error["code"], error["client_id"]) == (code, frame.get("client_id"))
    await chat.close()
    assert not errors_logged(caplog)


async def test_too_many_bad_frames_close_the_socket(web: None, visitor: Person) -> None:
    chat = await Chat(visitor.token).open()
    for _ in range(10):
        await chat.send("{")
    assert await chat.until_closed() == 4400


@pytest.mark.parametrize("text", ["{", '{"type": "ping2"}', json.dumps({"type": "stop", "turn": ID})])
async def test_the_first_frame_must_be_a_hello(web: None, visitor: Person, text: str) -> None:
    chat = Chat(visitor.token)
    await chat.connect()
    await chat.send(text)
    assert await chat.until_closed() == 4400


async def test_a_binary_frame_closes_the_socket(web: None, visitor: Person) -> None:
    chat = await Chat(visitor.token).open()
    await chat.socket.send_to(bytes_data=b"\x00\xff")
    assert await chat.until_closed() == 4400


@pytest.mark.parametrize(("num_bytes", "codes"), [(MAX_FRAME_BYTES - 1, {0}), (MAX_FRAME_BYTES + 1, {4413})])
async def test_the_limit_of_a_frame_is_kept_to_the_byte(
    web: None, visitor: Person, num_bytes: int, codes: set[int]
) -> None:
    frame = json.dumps({"type": "ping", "pad": ""})
    text = frame[:-2] + "x" * (num_bytes - len(frame)) + '"}'
    chat = await Chat(visitor.token).open()
    await chat.send(text)
    if codes == {0}:
        await chat.until("pong")
        await chat.close()
    else:
        assert await chat.until_closed() in codes


@pytest.mark.parametrize("num_bytes", [1024 * 1024 - 1, 1024 * 1024 + 1])
async def test_a_megabyte_is_refused_by_the_server_itself(
    server: WebServer, visitor: Person, num_bytes: int
) -> None:
    chat = await RemoteChat(visitor.token, server.websocket_url).open()
    await chat.send("x" * num_bytes)
    assert await chat.until_closed() in (1009, 1006)
    other = await RemoteChat(visitor.token, server.websocket_url).open()
    await other.send({"type": "ping"})
    await other.until("pong")
    await other.close()


async def test_a_message_in_endless_empty_fragments_is_ended(server: WebServer, visitor: Person) -> None:
    """S3: no fragment adds a byte, so no limit of size ever sees it."""
    chat = await RemoteChat(visitor.token, server.websocket_url).open()

    async def fragments() -> object:
        for _ in range(1000):
            yield ""

    with pytest.raises(websockets.ConnectionClosed):
        await chat.remote.send(fragments())
        await chat.remote.recv()
