"""A client that does not read: bounded, sent away with a code to come back with, nobody's neighbour (R8)."""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import time
import uuid

import psutil
import pytest

from assistant.conversations import events, turns, window
from assistant.conversations.events import Cursor
from assistant.conversations.models import Conversation, Message, Turn
from assistant.widget.models import Site
from tests.assistant.conversations.conftest import Person
from tests.support.chat_client import Chat, RemoteChat, Transcript
from tests.support.web import WebServer

PUSHED = 20 * 1024 * 1024
EVENT_CHARS = 4000


def a_turn(person: Person, site: Site) -> Turn:
    """A turn that runs somewhere else for the whole test."""
    conversation = turns.open_conversation(
        principal=person.principal, site=site, scenario="plain", locale="en", client_id=uuid.uuid4()
    )
    turn = turns.start(
        conversation=conversation, principal=person.principal, text="Push", client_id=uuid.uuid4()
    )
    Turn.objects.update(lease_until="2100-01-01T00:00:00Z", state=Turn.State.RUNNING)
    return turn


async def push(turn: Turn, num_bytes: int, *, seq: int = 1) -> int:
    delta = {"type": "delta", "message": str(turn.answer_id), "turn": str(turn.pk), "text": "x" * EVENT_CHARS}
    for _ in range(0, num_bytes, EVENT_CHARS * 10):
        await events.append(str(turn.conversation_id), Cursor(turn.epoch, seq), [delta] * 10)
        seq += 10
    return seq


async def p95_of_pings(chat: RemoteChat, count: int) -> float:
    times = []
    for _ in range(count):
        started = time.perf_counter()
        await chat.send({"type": "ping"})
        await chat.until("pong")
        times.append(time.perf_counter() - started)
        await asyncio.sleep(0.07)
    return statistics.quantiles(times, n=20)[-1]


async def test_a_client_that_reads_nothing_costs_little_and_is_sent_away(
    server: WebServer, visitor: Person, stranger: Person
) -> None:
    site = await Site.objects.aget(slug="shop")
    turn = await asyncio.to_thread(a_turn, visitor, site)
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    neighbour = await RemoteChat(stranger.token, server.websocket_url).open()
    quiet_p95 = await p95_of_pings(neighbour, 40)
    known = Transcript()
    known.conversation, known.cursor = str(turn.conversation_id), {"epoch": turn.epoch, "seq": 0}
    reader = RemoteChat(visitor.token, server.websocket_url, transcript=known, acks=False)
    await reader.open()
    reader.remote.transport.pause_reading()
    before = process.memory_info().rss
    started = time.monotonic()
    _seq, busy_p95 = await asyncio.gather(push(turn, PUSHED), p95_of_pings(neighbour, 40))
    assert process.memory_info().rss - before <= 2 * 1024 * 1024
    # A fifth more, or what a shared machine's scheduler costs anyway.
    assert busy_p95 <= max(quiet_p95 * 1.2, quiet_p95 + 0.05)
    await asyncio.sleep(max(0.0, window.PATIENCE_S + 1 - (time.monotonic() - started)))
    reader.remote.transport.resume_reading()
    num_bytes, code = 0, 0
    while not code:
        text = await reader.receive_text(10)
        if isinstance(text, int):
            code = text
        else:
            num_bytes += len(text)
    assert code == 4409
    assert num_bytes < 2 * window.MAX_BYTES
    await neighbour.close()


async def test_after_being_sent_away_it_resumes_where_it_was(
    web: None, visitor: Person, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "PATIENCE_S", 0.5)
    turn = await asyncio.to_thread(a_turn, visitor, site)
    known = Transcript()
    known.conversation, known.cursor = str(turn.conversation_id), {"epoch": turn.epoch, "seq": 0}
    known.messages = {str(turn.answer_id): {"role": "assistant", "text": ""}}
    await push(turn, 1_000_000)
    slow = await Chat(visitor.token, transcript=known, acks=False).open()
    assert await slow.until_closed() == 4409
    assert 0 < len(known.messages[str(turn.answer_id)]["text"]) < 400_000
    back = await Chat(visitor.token, transcript=known).open()
    while len(known.messages[str(turn.answer_id)]["text"]) < 1_000_000:
        await back.receive()
    await back.close()


async def test_a_reader_that_falls_behind_gets_fewer_and_larger_frames(
    web: None, visitor: Person, site: Site
) -> None:
    turn = await asyncio.to_thread(a_turn, visitor, site)
    delta = {"type": "delta", "message": str(turn.answer_id), "turn": str(turn.pk), "text": "word "}
    await events.append(str(turn.conversation_id), Cursor(turn.epoch, 1), [delta] * 60)
    known = Transcript()
    known.conversation, known.cursor = str(turn.conversation_id), {"epoch": turn.epoch, "seq": 0}
    known.messages = {str(turn.answer_id): {"role": "assistant", "text": ""}}
    chat = await Chat(visitor.token, transcript=known).open()
    frame = await chat.until("delta")
    assert (frame["first_seq"], frame["seq"]) == (1, 60)
    assert frame["text"] == "word " * 60
    await chat.close()


async def test_a_snapshot_of_a_huge_conversation_fits_a_frame(web: None, visitor: Person, site: Site) -> None:
    turn = await asyncio.to_thread(a_turn, visitor, site)
    conversation = await Conversation.objects.aget()
    await Turn.objects.aupdate(state=Turn.State.DONE)
    chain = [Message(conversation=conversation, role="user", text="y" * 8000) for _ in range(300)]
    for before, after in itertools.pairwise(chain):
        after.parent = before
    await Message.objects.abulk_create(chain)
    chat = await Chat(visitor.token).open(conversation=str(turn.conversation_id))
    snapshot = await chat.until("snapshot")
    assert snapshot["is_truncated"]
    assert len(json.dumps(snapshot)) < window.MAX_BYTES
    await chat.close()
