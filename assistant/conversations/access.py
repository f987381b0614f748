"""Who may see which conversation. Every route, socket and export starts from this one queryset."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.db.models import QuerySet

from assistant.conversations.models import Conversation

if TYPE_CHECKING:
    from assistant.accounts.principals import Principal


class NotFound(Exception):
    """There is no such thing, or it is somebody else's: the answer is the same."""


def visible_conversations(principal: Principal) -> QuerySet[Conversation]:
    """The conversations of this principal, and nobody else's. Staff look through the console instead."""
    everything = Conversation.objects.select_related("site")
    if principal.kind == "user":
        return everything.filter(user=principal.id)
    if principal.kind == "visitor":
        return everything.filter(visitor=principal.id, site=principal.site_id)
    return everything.filter(api_key=principal.id, site=principal.site_id)


def find_conversation(principal: Principal, conversation_id: uuid.UUID | str) -> Conversation:
    """Raises NotFound."""
    found = visible_conversations(principal).filter(pk=conversation_id).first()
    if found is None:
        raise NotFound(f"There is no conversation {conversation_id}.")
    return found
