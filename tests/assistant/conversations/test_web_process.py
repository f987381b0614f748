"""A real web process: what survives when it is killed, and when it is asked to end."""

from __future__ import annotations

import asyncio
import time

from assistant.conversations.models import Message, Turn
from tests.assistant.conversations.conftest import Person
from tests.support.chat_client import Closed, RemoteChat, Transcript
from tests.support.web import WebServer

SENTENCES = " ".join(f"This is sentence number {number}." for number in range(1, 31))


async def come_back(person: Person, server: WebServer, transcript: Transcript) -> RemoteChat:
    """As a client does: again and again until the server is there."""
    while True:
        try:
            return await RemoteChat(person.token, server.websocket_url, transcript=transcript).open()
        except (OSError, Closed):
            await asyncio.sleep(0.1)


async def test_a_killed_web_process_loses_no_answer(server: WebServer, visitor: Person) -> None:
    """R4: clients resume within 5 s of the restart; the answer in the database is complete."""
    chat = await RemoteChat(visitor.token, server.websocket_url).open()
    await chat.ask(f"Tell me all. [[rate:60]] [[say:{SENTENCES}]]")
    for _ in range(10):
        await chat.until("delta")
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    restarted = time.monotonic()
    chat = await come_back(visitor, server, chat.transcript)
    await chat.until("delta")
    assert time.monotonic() - restarted < 5
    answer = await chat.until_answered()
    assert answer["text"] == SENTENCES
    assert (await Message.objects.aget(pk=answer["id"])).text == SENTENCES
    assert (await Turn.objects.aget()).fencing_token == 2
    await chat.close()


async def test_a_process_asked_to_end_invites_its_clients_back(server: WebServer, visitor: Person) -> None:
    """SIGTERM: a closing frame, a quick exit, and the answer goes on elsewhere at once."""
    chat = await RemoteChat(visitor.token, server.websocket_url).open()
    await chat.ask(f"Tell me all. [[rate:60]] [[say:{SENTENCES}]]")
    for _ in range(5):
        await chat.until("delta")
    asked_to_end = time.monotonic()
    stopping = asyncio.create_task(asyncio.to_thread(server.stop))
    assert await chat.until_closed() == 1012
    await stopping
    assert time.monotonic() - asked_to_end < 8
    turn = await Turn.objects.aget()
    assert turn.lease_owner == ""
    await asyncio.to_thread(server.start)
    chat = await come_back(visitor, server, chat.transcript)
    assert (await chat.until_answered())["text"] == SENTENCES
    await chat.close()
