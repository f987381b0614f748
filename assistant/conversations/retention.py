"""Conversations are deleted when their site says they are too old."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from assistant.conversations import leases, turns
from assistant.conversations.models import Conversation
from assistant.widget.models import Site

MAX_AT_ONCE = 1000


def delete_old() -> int:
    """Delete what nobody has touched for the site's number of days. Returns how many went."""
    num_deleted = 0
    for site in Site.objects.filter(retention_days__gt=0):
        limit = timezone.now() - timedelta(days=site.retention_days)
        old = Conversation.objects.filter(site=site, updated_at__lt=limit)
        for conversation in old.exclude(turns__state__in=leases.ACTIVE)[: MAX_AT_ONCE - num_deleted]:
            with transaction.atomic():
                turns.delete(conversation=conversation)
            num_deleted += 1
    return num_deleted
