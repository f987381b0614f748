"""A ticket is made once, holds the conversation, and its mail leaves after the commit."""

from __future__ import annotations

import uuid

import pytest
from django.core import mail
from pytest_django import DjangoCaptureOnCommitCallbacks

from assistant.conversations.models import Conversation, Message
from assistant.support import tasks, tickets
from assistant.support.models import Ticket
from assistant.support.scenario import Support
from tests.support.people import make_site, make_visitor
from tests.support.valkey import ValkeyServer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.fixture
def conversation(valkey: ValkeyServer) -> Conversation:
    site = make_site("shop", handoff_email="help@shop.example")
    conversation = Conversation.objects.create(site=site, visitor=make_visitor(site))
    parent = None
    for role, text in [("user", "Where is my\nparcel, [EMAIL_1]?"), ("assistant", "I do not know.")]:
        parent = Message.objects.create(conversation=conversation, role=role, text=text, parent=parent)
    Message.objects.create(conversation=conversation, role="user", text="Another branch")
    conversation.leaf = parent
    conversation.save()
    return conversation


def create(conversation: Conversation, *, client_id: str = "", email: str = "ann@example.com") -> Ticket:
    return tickets.create(
        conversation_id=conversation.pk, email=email, client_id=client_id or str(uuid.uuid4())
    )


def test_a_ticket_holds_the_shown_branch_with_placeholders(conversation: Conversation) -> None:
    ticket = create(conversation)
    assert ticket.subject == "Where is my parcel, [EMAIL_1]?"
    assert "I do not know." in ticket.transcript
    assert "Another branch" not in ticket.transcript


def test_the_same_client_id_makes_one_ticket(conversation: Conversation) -> None:
    client_id = str(uuid.uuid4())
    assert len({create(conversation, client_id=client_id).pk for _ in range(5)}) == 1
    assert Ticket.objects.count() == 1


def test_numbers_are_consecutive(conversation: Conversation) -> None:
    first, second = create(conversation), create(conversation)
    assert second.number == first.number + 1


def test_a_client_id_of_another_conversation_reveals_nothing(conversation: Conversation) -> None:
    client_id = str(uuid.uuid4())
    create(conversation, client_id=client_id)
    other = Conversation.objects.create(site=conversation.site)
    with pytest.raises(tickets.TicketRefused):
        create(other, client_id=client_id)


@pytest.mark.parametrize("email", ["", "nobody", "a@b\nBcc: all@example.com"])
def test_what_is_no_address_is_refused(conversation: Conversation, email: str) -> None:
    with pytest.raises(tickets.TicketRefused):
        create(conversation, email=email)
    assert not Ticket.objects.exists()


def test_a_conversation_has_a_limit_of_tickets(conversation: Conversation) -> None:
    for _ in range(tickets.MAX_PER_CONVERSATION):
        create(conversation)
    with pytest.raises(tickets.TicketRefused):
        create(conversation)


def test_mail_is_sent_for_after_the_commit(
    conversation: Conversation, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        create(conversation)
    assert len(callbacks) == 1


def test_the_sites_people_and_the_asker_get_mail(conversation: Conversation) -> None:
    ticket = create(conversation)
    tasks.send_ticket(str(ticket.pk))
    assert [message.to for message in mail.outbox] == [["help@shop.example"], ["ann@example.com"]]
    assert "I do not know." in mail.outbox[0].body
    assert f"#{ticket.number}" in mail.outbox[1].body
    assert "I do not know." not in mail.outbox[1].body


def test_the_asker_is_written_to_in_their_language(conversation: Conversation) -> None:
    conversation.locale = "zh-hans"
    conversation.save()
    tickets.send(create(conversation))
    assert "我们已收到您的问题" in mail.outbox[-1].body


def test_the_scenario_hands_over(conversation: Conversation) -> None:
    told = Support().hand_over(
        conversation_id=str(conversation.pk), email="ann@example.com", client_id=str(uuid.uuid4())
    )
    assert told == {"ticket": Ticket.objects.get().number}
