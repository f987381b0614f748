"""Nobody sees or touches what is somebody else's (S5): every address × everybody, and the socket.

The addresses come from the URLconf. One that takes an argument must be listed here with what it is, so a
new one fails this test until somebody has thought about who may use it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core import serializers
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from assistant.accounts import api_keys, visitors
from assistant.accounts.models import ApiKey, User, Visitor
from assistant.conversations.models import Conversation, Message, Turn
from tests.support.chat_client import Chat, Closed
from tests.support.people import make_site, make_staff, make_user, make_visitor
from tests.support.valkey import ValkeyServer

CANARY = "canary7319"

# What an address with an argument is:
#   conversation   somebody's own; everybody else gets 401, 403 or 404
#   shell          an empty page, the same for every id
#   public         for everybody by intent
#   credential     the argument itself is the secret (a link in a mail)
#   own            acts on the signed-in account alone
KNOWN = {
    "api/conversations/<uuidstr:conversation_id>": "conversation",
    "api/conversations/<uuidstr:conversation_id>/export": "conversation",
    "chat/<uuid:conversation_id>/": "shell",
    "a/<slug:collection>/<path:path>": "public",
    "widget/frame/<slug:slug>/": "public",
    "widget/config/<slug:slug>.json": "public",
    "accounts/confirm-email/(?P<key>[-:\\w]+)/": "credential",
    "accounts/password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/": "credential",
}
METHODS = ("get", "post", "put", "patch", "delete")
CONSOLE = "console/"
# What every member of staff may open, whatever their role: these hold nobody's data.
CONSOLE_FOR_ALL_STAFF = {"", "search/", "logout/", "password_change/", "password_change/done/", "jsi18n/"}


def routes(patterns: list[Any] | None = None, prefix: str = "") -> Iterator[str]:
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(entry.pattern).removeprefix("^").removesuffix("$").removesuffix("\\Z")
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, route)
        elif isinstance(entry, URLPattern):
            yield route


def has_argument(route: str) -> bool:
    return "<" in route or "(" in route


def of_kind(kind: str) -> list[str]:
    return [route for route, known in KNOWN.items() if known == kind]


def console_routes() -> list[str]:
    return [route for route in routes() if route.startswith(CONSOLE)]


def address(route: str, value: str = "1") -> str:
    """The route with every argument filled in."""
    return "/" + re.sub(r"<[^>]+>|\(\?P<\w+>[^)]*\)", value, route)


def said_by(response: Any) -> str:
    """The body without the search itself, which a page may repeat."""
    body = b"".join(response) if response.streaming else response.content
    return re.sub(rf'[qs]={CANARY}|value="{CANARY}"', "", body.decode())


@dataclass
class Person:
    name: str
    client: Client
    conversation: Conversation | None = None
    token: str | None = None


def converse(**owner: Any) -> Conversation:
    """A finished exchange that holds the canary wherever text can stand."""
    conversation = Conversation.objects.create(title=f"About {CANARY}", scenario="support", **owner)
    question = Message.objects.create(conversation=conversation, role="user", text=f"Where is {CANARY}?")
    answer = Message.objects.create(
        conversation=conversation, role="assistant", parent=question, text=f"{CANARY} is here."
    )
    Turn.objects.create(conversation=conversation, question=question, answer=answer, state="done")
    conversation.leaf = answer
    conversation.save()
    return conversation


def as_visitor(visitor: Visitor) -> tuple[Client, str]:
    token = visitors.issue_token(visitor=visitor).token
    return Client(headers={"Authorization": f"Visitor {token}"}), token


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


class World:
    """The same people in every test. `owners` have a conversation with the canary, `strangers` none."""

    def __init__(self) -> None:
        site, other_site = make_site("shop"), make_site("other")
        user, visitor = make_user("owner@example.com"), make_visitor(site)
        key, key_text = api_keys.make(name="owner", site=site, created_by=None)
        client, token = as_visitor(visitor)
        self.owners = [
            Person("user", as_user(user), converse(site=site, user=user)),
            Person("visitor", client, converse(site=site, visitor=visitor), token),
            Person("key", self._as_key(key_text), converse(site=site, api_key=key)),
        ]
        neighbour, neighbour_token = as_visitor(make_visitor(site))
        foreigner, foreigner_token = as_visitor(make_visitor(other_site))
        _other_key, other_text = api_keys.make(name="other", site=site, created_by=None)
        self.strangers = [
            Person("other user", as_user(make_user("other@example.com"))),
            Person("visitor of the same site", neighbour, token=neighbour_token),
            Person("visitor of another site", foreigner, token=foreigner_token),
            Person("other key", self._as_key(other_text)),
            Person("staff without a role", as_user(make_staff())),
            Person("anonymous", Client()),
        ]

    @staticmethod
    def _as_key(text: str) -> Client:
        return Client(headers={"Authorization": f"Bearer {text}"})

    @property
    def conversations(self) -> list[Conversation]:
        return [owner.conversation for owner in self.owners if owner.conversation]


def everything() -> str:
    rows = [
        *Conversation.objects.order_by("pk"),
        *Message.objects.order_by("pk"),
        *Turn.objects.order_by("pk"),
    ]
    return serializers.serialize("json", rows)


@pytest.fixture
def world(db: None) -> World:
    return World()


def test_every_address_with_an_argument_is_known() -> None:
    found = {route for route in routes() if has_argument(route) and not route.startswith(CONSOLE)}
    assert found - set(KNOWN) == set(), "say in KNOWN what these are"
    assert set(KNOWN) - found == set(), "these are gone"


@pytest.mark.parametrize("route", of_kind("conversation"))
def test_a_conversation_is_its_owners_alone(world: World, route: str) -> None:
    before = everything()
    for conversation in world.conversations:
        others = [owner for owner in world.owners if owner.conversation != conversation]
        for person in [*world.strangers, *others]:
            for method in METHODS:
                path = address(route, str(conversation.pk))
                body = {"title": "taken over", "text": "taken over"}
                response = getattr(person.client, method)(path, body, "application/json")
                seen = f"{person.name} {method} {path}: {response.status_code}"
                assert response.status_code in {401, 403, 404, 405}, seen
                assert CANARY not in response.content.decode(), seen
    assert everything() == before


@pytest.mark.parametrize("route", of_kind("conversation"))
def test_an_owner_reaches_the_own_conversation(world: World, route: str) -> None:
    """Or the test above would pass for an address that nobody reaches."""
    for owner in world.owners[:2]:
        assert owner.conversation
        path = address(route, str(owner.conversation.pk))
        assert any(owner.client.get(path + query).status_code == 200 for query in ("", "?format=json"))


def test_no_list_search_or_page_shows_what_is_somebody_elses(world: World) -> None:
    plain = [route for route in routes() if not has_argument(route) and not route.startswith(CONSOLE)]
    assert "api/visitor" in plain
    for person in world.strangers:
        for route in plain:
            response = person.client.get(f"/{route}", {"q": CANARY})
            assert CANARY not in said_by(response), f"{person.name} {route}"


def test_the_chat_page_tells_nobody_whether_an_id_exists(world: World) -> None:
    made_up = uuid.uuid4()
    for route in of_kind("shell"):
        for conversation in world.conversations:
            pages = [Client().get(address(route, str(pk))) for pk in (conversation.pk, made_up)]
            assert pages[0].status_code == pages[1].status_code
            assert CANARY not in pages[0].content.decode()


def test_the_console_opens_for_staff_only(world: World) -> None:
    assert len(console_routes()) > 20
    for person in world.strangers:
        if person.name.startswith("staff"):
            continue
        for route in console_routes():
            for method in ("get", "post"):
                response = getattr(person.client, method)(address(route))
                seen = f"{person.name} {method} {route}: {response.status_code}"
                assert response.status_code in {302, 403, 404, 405}, seen
                assert CANARY not in response.content.decode(), seen


def test_staff_without_a_role_see_nothing_in_the_console(world: World) -> None:
    staff = next(person for person in world.strangers if person.name.startswith("staff"))
    pk = str(world.conversations[0].pk)
    for route in console_routes():
        for method in ("get", "post"):
            response = getattr(staff.client, method)(address(route, pk), {"q": CANARY, "s": CANARY})
            seen = f"{method} {route}: {response.status_code}"
            assert CANARY not in said_by(response), seen
            if route.removeprefix(CONSOLE) not in CONSOLE_FOR_ALL_STAFF:
                assert response.status_code in {302, 400, 403, 404, 405}, seen


def test_a_key_is_good_for_the_api_and_nothing_else(world: World) -> None:
    key = next(owner for owner in world.owners if owner.name == "key")
    assert key.client.get("/console/").status_code == 302
    assert key.client.get("/accounts/email/").status_code == 302
    assert ApiKey.objects.count() == 2


# ── The socket ────────────────────────────────────────────────────────────────────────────────────
def hand_over_frames(conversation: Conversation) -> list[dict[str, Any]]:
    """Every command that names an object, for a conversation that is somebody else's."""
    question, answer = conversation.messages.order_by("created_at")
    turn = conversation.turns.get()
    new = lambda: str(uuid.uuid4())  # noqa: E731
    return [
        {"type": "ask", "client_id": new(), "text": "Go on.", "parent": str(answer.pk)},
        {"type": "stop", "turn": str(turn.pk)},
        {"type": "regenerate", "message": str(answer.pk), "client_id": new()},
        {"type": "edit", "message": str(question.pk), "text": "Other words.", "client_id": new()},
        {"type": "feedback", "message": str(answer.pk), "value": -1, "reason": "mine now"},
        {"type": "select", "message": str(question.pk)},
    ]


def socket_world() -> tuple[World, list[Person]]:
    world = World()
    return world, [person for person in [*world.strangers, *world.owners] if person.token]


@pytest.mark.django_db(transaction=True)
async def test_no_socket_follows_somebody_elses_conversation(valkey: ValkeyServer) -> None:
    world, people = await sync_to_async(socket_world)()
    for person in people:
        for conversation in world.conversations:
            if person.conversation == conversation:
                continue
            for cursor in (None, {"epoch": 0, "seq": 0}):
                chat = Chat(person.token, site=None, acks=False)
                with pytest.raises(Closed):
                    await chat.open(conversation=str(conversation.pk), cursor=cursor)
                assert CANARY not in str(chat.transcript.frames), person.name


@pytest.mark.django_db(transaction=True)
async def test_no_command_reaches_somebody_elses_messages(valkey: ValkeyServer) -> None:
    world, people = await sync_to_async(socket_world)()
    mine = await sync_to_async(lambda: world.owners[1].conversation)()
    victims = [conversation for conversation in world.conversations if conversation != mine]
    before = await sync_to_async(everything)()
    visitor = next(person for person in people if person.conversation == mine)
    chat = await Chat(visitor.token, acks=False).open(conversation=str(mine.pk))  # type: ignore[union-attr]
    for victim in victims:
        for frame in await sync_to_async(hand_over_frames)(victim):
            await chat.send(frame)
            answer = await chat.until("error")
            assert answer["code"] in {"not_found", "forbidden"}, frame
    await chat.close()
    assert await sync_to_async(everything)() == before
