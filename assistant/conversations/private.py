"""Personal data of a conversation: sealed beside each message, put back for its owner's eyes only."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from typing import Any

from assistant import secrets
from assistant.conversations.models import Message
from assistant.safety.placeholders import restore

log = logging.getLogger(__name__)
PURPOSE = "private"


def seal(values: Mapping[str, str]) -> bytes | None:
    return secrets.seal(dict(values), purpose=PURPOSE) if values else None


def values_of(conversation_id: uuid.UUID | str) -> dict[str, str]:
    """Placeholder to value, of all messages of a conversation. What cannot be opened stays a placeholder."""
    rows = Message.objects.filter(conversation_id=conversation_id, private__isnull=False).order_by(
        "created_at"
    )
    return open_all(rows.order_by("created_at").values_list("private", flat=True))


def open_all(sealed: Any) -> dict[str, str]:
    values: dict[str, str] = {}
    for one in sealed:
        try:
            values |= secrets.open_sealed(one, purpose=PURPOSE)
        except secrets.CannotOpen as error:
            log.warning("%s", error)
    return values


def restore_frame(frame: dict[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """The same frame with personal data put back wherever it carries text."""
    if not values:
        return frame
    changed = dict(frame)
    if isinstance(frame.get("text"), str):
        changed["text"] = restore(frame["text"], values)
    if isinstance(frame.get("title"), str):
        changed["title"] = restore(frame["title"], values)
    if isinstance(frame.get("message"), dict):
        changed["message"] = restore_frame(frame["message"], values)
    if "messages" in frame:
        changed["messages"] = [restore_frame(message, values) for message in frame["messages"]]
    return changed
