"""The same four people for every test of the console, and a conversation with everything in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.auth.models import Group
from django.test import Client

from assistant import secrets
from assistant.accounts.models import User
from assistant.conversations.models import Conversation, Message, Turn
from assistant.safety.models import Verdict
from assistant.widget.models import Site
from tests.support.people import make_site, make_visitor

ROLES = ("agent", "editor", "trainer", "administrator")
SECRET = "ann@private.example"


def make_person(role: str) -> User:
    """Staff of this role with a second factor, and no password, whose hashing would take most of the time."""
    user = User.objects.create(email=f"{role}@example.com", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    TOTP.activate(user, generate_totp_secret())
    return user


class People(dict[str, User]):
    """The four by role, made when they are first asked for."""

    def __missing__(self, role: str) -> User:
        self[role] = make_person(role)
        return self[role]


@pytest.fixture
def staff(db: None) -> People:
    return People()


@pytest.fixture
def as_(staff: People) -> Callable[[str], Client]:
    """A signed-in browser of one of the four."""

    def sign_in(role: str) -> Client:
        client = Client()
        client.force_login(staff[role])
        return client

    return sign_in


@dataclass
class Talk:
    """One question, asked with an e-mail address in it, and its answer."""

    site: Site
    conversation: Conversation
    question: Message
    answer: Message
    turn: Turn


def make_talk(
    site: Site, *, text: str = "My address is [EMAIL_1]. Where is my parcel?", **answer: object
) -> Talk:
    conversation = Conversation.objects.create(site=site, visitor=make_visitor(site), epoch=1)
    question = Message.objects.create(
        conversation=conversation,
        role="user",
        text=text,
        private=secrets.seal({"[EMAIL_1]": SECRET}, purpose="private"),
    )
    values = {
        "text": "It is **on its way**.",
        "outcome": "answered",
        "receipt": {
            "model": "qwen",
            "cache": {"tier": "none", "age_s": 0},
            "ttft_ms": 400,
            "tokens_per_s": 30,
            "policies": ["default"],
        },
    } | answer
    made = Message.objects.create(
        conversation=conversation,
        role="assistant",
        parent=question,
        **values,  # type: ignore[arg-type]
    )
    conversation.leaf = made
    conversation.save()
    turn = Turn.objects.create(
        conversation=conversation, question=question, answer=made, state="done", epoch=1
    )
    Verdict.objects.create(
        site=site,
        conversation_id=conversation.pk,
        message_id=question.pk,
        stage="input",
        check_name="personal_data",
        action="redact",
        reason="EMAIL",
    )
    return Talk(site, conversation, question, made, turn)


@pytest.fixture
def talk(db: None) -> Talk:
    return make_talk(make_site("shop"))
