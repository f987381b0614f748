"""Who gets in, and who is sent out: origins, tokens, revocation, limits (S1, S2, S3)."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client

from assistant.accounts import visitors
from assistant.accounts.models import User
from assistant.conversations import limits, revalidation
from assistant.conversations.models import Conversation, Message
from assistant.widget.models import Site
from tests.assistant.conversations.conftest import Person
from tests.support.chat_client import Chat

pytestmark = pytest.mark.usefixtures("web")
HOST = (b"host", b"localhost")
OWN = (b"origin", b"http://localhost")
LONG = "Go on [[rate:30]] [[say:" + "One more sentence. " * 100 + "]]"


@pytest.fixture
def user(transactional_db: None) -> User:
    return User.objects.create_user("ann@example.com", "correct horse battery")


@pytest.fixture
def cookie(user: User) -> tuple[bytes, bytes]:
    """A signed-in session, as the browser would send it."""
    client = Client()
    client.force_login(user)
    session_key = client.cookies[settings.SESSION_COOKIE_NAME].value
    return (b"cookie", f"{settings.SESSION_COOKIE_NAME}={session_key}".encode())


@pytest.mark.parametrize(
    "origin",
    [
        b"https://evil.example",
        b"null",
        b"",
        b"http://localhost.evil.example",
        b"http://localhost:81",
        b"file://",
        None,
    ],
)
async def test_a_foreign_absent_or_null_origin_is_refused_before_accept(
    cookie: tuple[bytes, bytes], origin: bytes | None
) -> None:
    """S1: the cookie alone opens nothing."""
    headers = [HOST, cookie, *([(b"origin", origin)] if origin is not None else [])]
    is_accepted, _code = await Chat(None, headers=headers).socket.connect()
    assert not is_accepted


async def test_a_rebound_host_is_refused_before_accept(cookie: tuple[bytes, bytes]) -> None:
    headers = [(b"host", b"evil.example"), (b"origin", b"http://evil.example"), cookie]
    is_accepted, _code = await Chat(None, headers=headers).socket.connect()
    assert not is_accepted


async def test_a_wrong_token_without_origin_is_refused_before_accept(visitor: Person) -> None:
    headers = [HOST, (b"authorization", f"Visitor {visitor.token}x".encode())]
    is_accepted, _code = await Chat(None, headers=headers).socket.connect()
    assert not is_accepted


async def test_a_program_gets_in_with_a_token_instead_of_an_origin(visitor: Person) -> None:
    headers = [HOST, (b"authorization", f"Visitor {visitor.token}".encode())]
    chat = await Chat(None, headers=headers).open()
    assert chat.transcript.frames[0]["you"]["kind"] == "visitor"
    await chat.close()


async def test_a_wrong_token_in_hello_closes_with_4401_and_says_nothing(visitor: Person) -> None:
    chat = Chat(visitor.token + "x")
    await chat.connect()
    await chat.send({"type": "hello", "site": "shop", "token": chat.token})
    assert await chat.until_closed() == 4401
    assert not chat.transcript.frames


async def test_a_token_of_another_site_is_refused(visitor: Person) -> None:
    await Site.objects.acreate(slug="other", name="Other", scenario="plain")
    chat = Chat(visitor.token)
    await chat.connect()
    await chat.send({"type": "hello", "site": "other", "token": chat.token})
    assert await chat.until_closed() == 4401


async def test_a_bad_token_never_falls_back_to_the_cookie(cookie: tuple[bytes, bytes]) -> None:
    chat = Chat("nonsense", headers=[HOST, OWN, cookie])
    await chat.connect()
    await chat.send({"type": "hello", "site": "shop", "token": "nonsense"})
    assert await chat.until_closed() == 4401


async def test_nobody_opens_a_strangers_conversation(visitor: Person, stranger: Person) -> None:
    chat = await Chat(visitor.token).open()
    await chat.ask("Mine [[tokens:3]]")
    await chat.until_answered()
    other = Chat(stranger.token)
    await other.connect()
    await other.send(
        {"type": "hello", "site": "shop", "token": other.token, "conversation": chat.transcript.conversation}
    )
    assert await other.until_closed() == 4403
    assert [frame["code"] for frame in other.transcript.frames] == ["not_found"]
    await chat.close()


# ---- S2 ----------------------------------------------------------------------------------------


async def streaming(token: str | None, headers: list[tuple[bytes, bytes]] | None = None) -> Chat:
    chat = await Chat(token, headers=headers).open()
    await chat.ask(LONG)
    await chat.until("delta")
    return chat


async def closed_within_two_seconds(chat: Chat) -> None:
    revoked = time.monotonic()
    code = await chat.until_closed(5)
    assert code == 4401
    assert time.monotonic() - revoked < 2.2
    assert await chat.socket.receive_nothing(0.3)


def sign_out(user: User) -> None:
    Session.objects.all().delete()


def change_password(user: User) -> None:
    user.set_password("another horse battery")
    user.save()


def deactivate(user: User) -> None:
    user.is_active = False
    user.save()


@pytest.mark.parametrize("end", [sign_out, change_password, deactivate])
@pytest.mark.parametrize("is_told", [True, False], ids=["announced", "found by asking"])
async def test_a_user_who_no_longer_holds_is_sent_out(
    user: User, cookie: tuple[bytes, bytes], end: Any, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S2: at once by announcement, and within two seconds when the announcement gets lost."""
    if is_told:
        monkeypatch.setattr(revalidation, "EVERY_S", 3600)
    else:
        monkeypatch.setattr("assistant.accounts.revocation._send", lambda group: None)
    chat = await streaming(None, [HOST, OWN, cookie])
    await sync_to_async(end)(user)
    await closed_within_two_seconds(chat)


async def test_an_expired_visitor_token_ends_the_socket(
    site: Site, visitor: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitors, "LIFETIME", timedelta(seconds=-28))  # two seconds within the leeway
    monkeypatch.setattr(visitors, "LEEWAY_S", 30)
    token = (await sync_to_async(visitors.issue_token)(visitor=visitor.visitor)).token
    chat = Chat(token)
    await chat.connect()
    await chat.send({"type": "hello", "site": "shop", "token": token})
    assert await chat.until_closed(5) == 4401


async def test_a_site_switched_off_ends_its_sockets(visitor: Person) -> None:
    chat = await streaming(visitor.token)
    await Site.objects.aupdate(is_active=False)
    assert await chat.until_closed(5) == 4401


# ---- S3 ----------------------------------------------------------------------------------------


async def test_a_thousand_frames_a_second_close_the_socket_and_no_other(
    visitor: Person, stranger: Person
) -> None:
    other = await Chat(stranger.token).open()
    chat = await Chat(visitor.token).open()
    for _ in range(1000):
        await chat.send({"type": "ping"})
    assert await chat.until_closed() == 4429
    await other.send({"type": "ping"})
    await other.until("pong", timeout=2)
    await other.close()


async def test_fifty_sockets_of_one_person_are_too_many(visitor: Person, stranger: Person) -> None:
    chats = []
    for _ in range(limits.MAX_SOCKETS):
        chats.append(await Chat(visitor.token).open())
    for _ in range(50 - limits.MAX_SOCKETS):
        late = Chat(visitor.token)
        await late.connect()
        await late.send({"type": "hello", "site": "shop", "token": late.token})
        assert await late.until_closed() == 4429
    await (await Chat(stranger.token).open()).close()
    await chats.pop().close()
    await (await Chat(visitor.token).open()).close()
    for chat in chats:
        await chat.close()


async def test_too_many_questions_a_minute_are_refused_with_a_time(
    visitor: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_QUESTIONS_PER_MINUTE", 2)
    chat = await Chat(visitor.token).open()
    for _ in range(2):
        await chat.ask("Hello [[tokens:3]]")
        await chat.until_answered()
    await chat.ask("Once more")
    error = await chat.until("error")
    assert error["code"] == "rate_limited"
    assert error["retry_after_s"] > 0
    assert await Message.objects.acount() == 4
    assert await Conversation.objects.acount() == 1
    await chat.close()


async def test_silence_instead_of_hello_is_ended(visitor: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.conversations.consumer.HELLO_S", 0.2)
    chat = Chat(visitor.token)
    await chat.connect()
    assert await chat.until_closed() == 4408
