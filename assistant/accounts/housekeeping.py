"""What nobody needs any more: expired sessions, and visitors who never asked anything."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.sessions.models import Session
from django.utils import timezone

from assistant.accounts.models import Visitor
from assistant.accounts.visitors import LIFETIME

BATCH = 1000


def forget_expired() -> dict[str, int]:
    """Delete them; returns how many of each. A living token of such a visitor dies: they get another."""
    now = timezone.now()
    sessions = Session.objects.filter(expire_date__lt=now)
    visitors = Visitor.objects.filter(
        user=None,
        external_id=None,
        conversations=None,
        created_at__lt=now - LIFETIME - timedelta(days=1),
    )
    return {
        "sessions": Session.objects.filter(
            pk__in=list(sessions.values_list("pk", flat=True)[:BATCH])
        ).delete()[0],
        "visitors": Visitor.objects.filter(
            pk__in=list(visitors.values_list("pk", flat=True)[:BATCH])
        ).delete()[0],
    }
