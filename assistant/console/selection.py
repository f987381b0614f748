"""Which conversations staff mean: one function for each filter, shared by the list and by the export.

The parameters are those of the list's address, so what is exported is what was on the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date

from assistant.conversations.models import Conversation, Message
from assistant.safety.models import Verdict

Conversations = QuerySet[Conversation]


def with_message(conversations: Conversations, condition: Q) -> Conversations:
    """Those that hold at least one such message (each once, however many it holds)."""
    return conversations.filter(
        Exists(Message.objects.filter(condition, conversation=OuterRef("pk")).order_by())
    )


def by_text(conversations: Conversations, text: str) -> Conversations:
    """Those whose title or messages hold every word."""
    for word in text.split():
        held = Exists(Message.objects.filter(conversation=OuterRef("pk"), text__icontains=word).order_by())
        conversations = conversations.filter(Q(title__icontains=word) | held)
    return conversations


def by_verdict(conversations: Conversations, action: str) -> Conversations:
    return conversations.filter(Exists(Verdict.objects.filter(conversation_id=OuterRef("pk"), action=action)))


def by_feedback(conversations: Conversations, value: str) -> Conversations:
    return with_message(conversations, Q(feedback={"up": 1, "down": -1}.get(value, 0), role="assistant"))


def _since(conversations: Conversations, value: str) -> Conversations:
    return conversations.filter(updated_at__gte=_start_of(value, time.min))


def _until(conversations: Conversations, value: str) -> Conversations:
    return conversations.filter(updated_at__lte=_start_of(value, time.max))


def _start_of(value: str, moment: time) -> datetime:
    day = parse_date(value) or date.today()
    return timezone.make_aware(datetime.combine(day, moment))


FILTERS: dict[str, Callable[[Conversations, str], Conversations]] = {
    "q": by_text,
    "site__id__exact": lambda found, value: found.filter(site_id=value),
    "scenario": lambda found, value: found.filter(scenario=value),
    "verdict": by_verdict,
    "feedback": by_feedback,
    "outcome": lambda found, value: with_message(found, Q(outcome=value)),
    "tier": lambda found, value: with_message(found, Q(receipt__cache__tier=value)),
    "model": lambda found, value: with_message(found, Q(receipt__model=value)),
    "updated_at_from": _since,
    "updated_at_to": _until,
}


def select(parameters: Mapping[str, Any]) -> Conversations:
    """The conversations that satisfy all parameters; empty and unknown ones are ignored."""
    found = Conversation.objects.all()
    for name, apply in FILTERS.items():
        if value := str(parameters.get(name) or "").strip():
            found = apply(found, value)
    return found
