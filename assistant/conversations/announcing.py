"""Events between turns: a title that was found, a branch that was chosen."""

from __future__ import annotations

from typing import Any

from assistant.conversations import events, leases
from assistant.conversations.database import in_database
from assistant.conversations.events import HistoryLost, LogUnavailable
from assistant.conversations.models import Conversation, Turn


async def tell(conversation: Conversation, body: dict[str, Any]) -> bool:
    """Tell every open tab; False if the log will not carry it now. The database has it already."""
    epoch = await in_database(_quiet_epoch, conversation)
    if epoch is None:
        return False
    try:
        await events.append_to_end(str(conversation.pk), epoch=epoch, body=body)
    except (LogUnavailable, HistoryLost):
        return False
    return True


def _quiet_epoch(conversation: Conversation) -> int | None:
    """The epoch of the last turn, if that is finished: a running one is the only writer of its own."""
    if Turn.objects.filter(conversation=conversation, state__in=leases.ACTIVE).exists():
        return None
    return Conversation.objects.values_list("epoch", flat=True).filter(pk=conversation.pk).first()
