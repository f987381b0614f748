"""A conversation as clients see it: messages with their siblings, the turn in progress, the cursor.

The cursor says which events the texts already hold, read in the same transaction as the texts: a client
that applies every later event to this snapshot has what a fresh fetch would give.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from assistant.conversations import leases, private
from assistant.conversations.events import Cursor
from assistant.conversations.models import Conversation, Message, Turn

MAX_MESSAGES = 200
MAX_CHARS = 150_000


@dataclass(frozen=True)
class Standing:
    """Where the database stands: the last event it holds, and whether an answer is being made."""

    cursor: Cursor
    is_active: bool


@dataclass(frozen=True)
class Snapshot:
    frame: dict[str, Any]
    standing: Standing
    private: dict[str, str] = field(repr=False)


def standing(conversation_id: uuid.UUID | str) -> Standing:
    epoch = Conversation.objects.values_list("epoch", flat=True).filter(pk=conversation_id).first() or 0
    turn = Turn.objects.filter(conversation_id=conversation_id, epoch=epoch).first() if epoch else None
    return _standing(epoch, turn)


def _standing(epoch: int, turn: Turn | None) -> Standing:
    is_active = turn is not None and turn.state in leases.ACTIVE
    return Standing(Cursor(epoch, turn.saved_seq if turn else 0), is_active)


@transaction.atomic
def snapshot(conversation_id: uuid.UUID | str) -> Snapshot:
    """Everything a client needs to show the conversation, with personal data put back."""
    conversation = Conversation.objects.get(pk=conversation_id)
    turn = Turn.objects.filter(conversation=conversation, epoch=conversation.epoch).first()
    messages = list(conversation.messages.order_by("created_at"))
    values = private.open_all(message.private for message in messages if message.private)
    kept = newest(messages)
    where = _standing(conversation.epoch, turn)
    frame = {
        "type": "snapshot",
        "conversation": str(conversation.pk),
        "title": conversation.title,
        "leaf": str(conversation.leaf_id) if conversation.leaf_id else None,
        "messages": as_json(kept, among=messages),
        "is_truncated": len(kept) < len(messages),
        "turn": turn_json(turn) if turn and where.is_active else None,
        "cursor": where.cursor.as_json(),
    }
    return Snapshot(private.restore_frame(frame, values), where, values)


def newest(messages: list[Message]) -> list[Message]:
    """The last messages that fit a frame of bearable size, oldest first."""
    kept, num_chars = 0, 0
    for message in reversed(messages[-MAX_MESSAGES:]):
        num_chars += len(message.text) + 500
        if kept and num_chars > MAX_CHARS:
            break
        kept += 1
    return messages[len(messages) - kept :]


def turn_json(turn: Turn) -> dict[str, Any]:
    state = "generating" if turn.state == Turn.State.RUNNING else "queued"
    return {
        "id": str(turn.pk),
        "state": state,
        "answer": str(turn.answer_id),
        "parent": str(turn.question_id),
    }


def as_json(messages: Iterable[Message], *, among: Iterable[Message]) -> list[dict[str, Any]]:
    siblings: dict[tuple[Any, str], list[str]] = defaultdict(list)
    for message in among:
        siblings[message.parent_id, message.role].append(str(message.pk))
    return [message_json(message, siblings[message.parent_id, message.role]) for message in messages]


def message_json(message: Message, siblings: list[str]) -> dict[str, Any]:
    """One message, redacted, as docs/protocol.md describes it."""
    return {
        "id": str(message.pk),
        "role": message.role,
        "parent": str(message.parent_id) if message.parent_id else None,
        "text": message.text,
        "state": message.state,
        "outcome": message.outcome,
        "citations": message.citations,
        "receipt": message.receipt,
        "feedback": message.feedback,
        "created": message.created_at.isoformat(),
        "siblings": siblings,
        "client_id": str(message.client_id) if message.client_id else None,
    }


def siblings_of(message: Message) -> list[str]:
    rows = Message.objects.filter(
        conversation=message.conversation_id, parent=message.parent_id, role=message.role
    )
    return [str(pk) for pk in rows.order_by("created_at").values_list("pk", flat=True)]
