"""Background work of support: the mail of a ticket."""

from __future__ import annotations

from smtplib import SMTPException

from celery import Task, shared_task

from assistant.support import tickets
from assistant.support.models import Ticket


@shared_task(name="support.send_ticket", bind=True, acks_late=True, max_retries=8)
def send_ticket(self: Task, ticket_id: str) -> None:
    """Tried again for about a day: a mail server that is away loses no ticket."""
    ticket = Ticket.objects.select_related("site", "conversation").filter(pk=ticket_id).first()
    if ticket is None:
        return
    try:
        tickets.send(ticket)
    except (SMTPException, OSError) as error:
        raise self.retry(exc=error, countdown=min(60 * 4**self.request.retries, 21_600)) from error
