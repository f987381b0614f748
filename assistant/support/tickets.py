"""Tickets: what a person must look at, with the conversation they need for it.

Made once per client id, however often the request is repeated. The transcript keeps the placeholders of
personal data: the owner alone sees those values. Mail leaves after the commit, by the worker.
"""

from __future__ import annotations

import uuid

from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils.translation import gettext as _
from django.utils.translation import override

from assistant.conversations.models import Conversation, Message
from assistant.support.models import Ticket

MAX_PER_CONVERSATION = 5
MAX_ATTEMPTS = 5


class TicketRefused(ValueError):
    """The message says what is wrong, in the words of the person who asked."""


def create(*, conversation_id: str | uuid.UUID, email: str, client_id: str | uuid.UUID) -> Ticket:
    """The ticket of this client id, made when it is new. Raises TicketRefused."""
    known = Ticket.objects.filter(client_id=client_id).first()
    if known is not None:
        if str(known.conversation_id) != str(conversation_id):
            raise TicketRefused(_("This request belongs to another conversation. Reload the page."))
        return known
    conversation = Conversation.objects.select_related("site").get(pk=conversation_id)
    with override(conversation.locale):
        check(conversation, email)
        return insert(conversation, email, client_id)


def check(conversation: Conversation, email: str) -> None:
    try:
        validate_email(email)
    except ValidationError:
        raise TicketRefused(_("This is no e-mail address. We need one to write back to you.")) from None
    if conversation.tickets.count() >= MAX_PER_CONVERSATION:
        raise TicketRefused(
            _("There are several tickets for this conversation already. Somebody will write back.")
        )


def insert(conversation: Conversation, email: str, client_id: str | uuid.UUID) -> Ticket:
    """Numbers are consecutive; two at once take turns by the unique constraint."""
    for attempt in range(MAX_ATTEMPTS):
        try:
            with transaction.atomic():
                ticket = Ticket.objects.create(
                    number=(Ticket.objects.aggregate(last=Max("number"))["last"] or 1000) + 1,
                    site=conversation.site,
                    conversation=conversation,
                    client_id=client_id,
                    email=email,
                    subject=subject_of(conversation),
                    transcript=transcript_of(conversation),
                )
                notify_later(ticket)
                return ticket
        except IntegrityError:
            again = Ticket.objects.filter(client_id=client_id).first()
            if again is not None:
                return again
            if attempt == MAX_ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable: the last attempt returns or raises")


def notify_later(ticket: Ticket) -> None:
    from assistant.support.tasks import send_ticket

    send_ticket.delay_on_commit(str(ticket.pk))


def branch_of(conversation: Conversation) -> list[Message]:
    """The messages of the branch that is shown, oldest first."""
    messages = {message.pk: message for message in conversation.messages.all()}
    at = messages.get(conversation.leaf_id) if conversation.leaf_id else None
    if at is None:
        return list(messages.values())
    branch = []
    while at is not None:
        branch.append(at)
        at = messages.get(at.parent_id) if at.parent_id else None
    return branch[::-1]


def transcript_of(conversation: Conversation) -> str:
    return "\n\n".join(
        f"{message.created_at:%Y-%m-%d %H:%M} {message.get_role_display()}:\n{message.text}"
        for message in branch_of(conversation)
    )


def subject_of(conversation: Conversation) -> str:
    """The last question, on one line."""
    asked = [message.text for message in branch_of(conversation) if message.role == Message.Role.USER]
    return " ".join(asked[-1].split())[:200] if asked else _("A question without words")


def send(ticket: Ticket) -> int:
    """Mail to the site's people and to the asker. Returns how many were sent."""
    site = ticket.site
    subject = f"[{site.name} #{ticket.number}] {ticket.subject}"[:200]
    sent = 0
    if site.handoff_email:
        body = _("%(email)s asks for a person on %(site)s.\n\n%(transcript)s\n")
        values = {"email": ticket.email, "site": site.name, "transcript": ticket.transcript}
        sent += send_mail(subject, body % values, None, [site.handoff_email])
    with override(ticket.conversation.locale if ticket.conversation else site.default_locale):
        body = _("Your question reached us as #%(number)s. Somebody will write back to you.\n\n%(subject)s\n")
        values = {"number": str(ticket.number), "subject": ticket.subject}
        sent += send_mail(subject, body % values, None, [ticket.email])
    return sent
