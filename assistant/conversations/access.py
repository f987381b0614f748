"""Who may see which conversation. Every route, socket and export starts from this one queryset."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.db.models import QuerySet

from assistant.conversations.errors import NotFound
from assistant.conversations.models import Conversation

if TYPE_CHECKING:
    from assistant.accounts.principals import Principal


def visible_conversations(principal: Principal) -> QuerySet[Conversation]:
    """The conversations of this principal, and nobody else's. Staff look through the console instead."""
    everything = Conversation.objects.select_related("site")
    if principal.kind == "user":
        return everything.filter(user_id=int(principal.id))
    assert principal.site_id is not None, "visitors and keys belong to one site"
    if principal.kind == "visitor":
        return everything.filter(visitor_id=principal.id, site_id=principal.site_id)
    return everything.filter(api_key_id=int(principal.id), site_id=principal.site_id)


def find_conversation(principal: Principal, conversation_id: uuid.UUID | str) -> Conversation:
    """Raises NotFound."""
    found = visible_conversations(principal).filter(pk=conversation_id).first()
    if found is None:
        raise NotFound(f"There is no conversation {conversation_id}.")
    return found
