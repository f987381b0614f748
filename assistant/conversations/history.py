"""One's own conversations: listed newest first, searched, and taken along as JSON or Markdown."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef, Q
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from assistant.conversations import private, transcript
from assistant.conversations.access import visible_conversations
from assistant.conversations.errors import BadText
from assistant.conversations.models import Conversation, Message
from assistant.safety.placeholders import restore

if TYPE_CHECKING:
    from assistant.accounts.principals import Principal

PAGE_SIZE = 30
MAX_QUERY = 200


@dataclass(frozen=True)
class Page:
    """`next`: what asks for the page after this one; None on the last."""

    conversations: list[Conversation]
    next: str | None


def find(*, principal: Principal, query: str = "", cursor: str = "") -> Page:
    """Conversations whose title or text holds every word of `query`. Raises BadText for a foreign cursor."""
    found = visible_conversations(principal).order_by("-updated_at", "-pk")
    for word in query[:MAX_QUERY].split():
        said = Message.objects.filter(conversation=OuterRef("pk"), text__icontains=word)
        found = found.filter(Q(title__icontains=word) | Exists(said))
    if cursor:
        updated_at, pk = _read_cursor(cursor)
        found = found.filter(Q(updated_at__lt=updated_at) | Q(updated_at=updated_at, pk__lt=pk))
    rows = list(found[: PAGE_SIZE + 1])
    last = rows[PAGE_SIZE - 1] if len(rows) > PAGE_SIZE else None
    return Page(rows[:PAGE_SIZE], f"{last.updated_at.isoformat()}_{last.pk}" if last else None)


def _read_cursor(cursor: str) -> tuple[datetime, uuid.UUID]:
    moment, _separator, pk = cursor.rpartition("_")
    try:
        updated_at = parse_datetime(moment)
        if updated_at is not None and updated_at.tzinfo is not None:
            return updated_at, uuid.UUID(pk)
    except ValueError:
        pass
    raise BadText(f"The cursor {cursor[:60]!r} is none of ours. Start without one.")


def as_json(conversation: Conversation) -> dict[str, Any]:
    """Everything of a conversation, all branches, for its owner."""
    messages = list(conversation.messages.order_by("created_at"))
    values = private.open_all(message.private for message in messages if message.private)
    return {
        "id": str(conversation.pk),
        "title": restore(conversation.title, values),
        "site": conversation.site.slug,
        "scenario": conversation.scenario,
        "locale": conversation.locale,
        "created": conversation.created_at.isoformat(),
        "updated": conversation.updated_at.isoformat(),
        "leaf": str(conversation.leaf_id) if conversation.leaf_id else None,
        "messages": [
            private.restore_frame(message, values) for message in transcript.as_json(messages, among=messages)
        ],
    }


def as_markdown(conversation: Conversation) -> str:
    """The branch shown, to read."""
    whole = as_json(conversation)
    by_id = {message["id"]: message for message in whole["messages"]}
    branch: list[dict[str, Any]] = []
    message = by_id.get(whole["leaf"])
    while message is not None:
        branch.append(message)
        message = by_id.get(message["parent"])
    parts = [f"# {whole['title'] or _('Conversation')}"]
    for message in reversed(branch):
        who = _("You") if message["role"] == Message.Role.USER else _("Assistant")
        parts.append(f"**{who}** · {message['created'][:16].replace('T', ' ')}\n\n{message['text']}")
        parts += [f"[{c['number']}] {c['title']} <{c['url']}>" for c in message["citations"]]
    return "\n\n".join(parts) + "\n"
