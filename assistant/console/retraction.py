"""Taking an answer back by hand: from the screen, the database, the cache and the event log."""

from __future__ import annotations

import json
import logging
from typing import Any

from asgiref.sync import async_to_sync
from django.db import transaction
from redis import RedisError

from assistant.accounts.models import User
from assistant.console import audit
from assistant.conversations import events
from assistant.conversations.models import Message
from assistant.redis import get_redis
from assistant.response_cache import services as response_cache
from assistant.safety import audit as verdicts
from assistant.safety import policies
from assistant.safety.findings import Finding
from assistant.safety.replies import reply

logger = logging.getLogger(__name__)
CHECK = "staff"


class CannotRetract(Exception):
    """This message is no finished answer."""


def retract(*, message: Message, by: User, reason: str) -> None:
    """Replace a finished answer by the policy's words. Raises CannotRetract.

    The row changes first: it is what the cache and every later reader ask, so an event or a cache entry
    that cannot be reached now (Valkey away) cannot bring the text back.
    """
    conversation = message.conversation
    policy = policies.effective(site=conversation.site, scenario=conversation.scenario)
    words = reply("retracted", locale=conversation.locale, rules=policy.rules)
    with transaction.atomic():
        answers = Message.objects.filter(pk=message.pk, role=Message.Role.ASSISTANT)
        answers = answers.exclude(state__in=[Message.State.STREAMING, Message.State.RETRACTED])
        if not answers.update(state=Message.State.RETRACTED, text=words, citations=[]):
            raise CannotRetract("Only a finished answer can be retracted. Stop it first, or reload the page.")
        verdicts.record(
            [Finding(CHECK, "retract", reason or "retracted by staff", stage="output")],
            site=conversation.site,
            conversation_id=conversation.pk,
            message_id=message.pk,
            policy_version=policy.version,
        )
        audit.record(message, by=by, changes={"state": (message.state, Message.State.RETRACTED)})
    response_cache.forget(message.pk)
    _tell(message, words)


def _tell(message: Message, words: str) -> None:
    """The event for those who look at the conversation now; then the events that hold the text go.

    A reader who was still before them finds a gap, and fetches the conversation from the database.
    """
    conversation = message.conversation
    body = {"type": "retract", "message": str(message.pk), "text": words, "reason": CHECK}
    try:
        async_to_sync(events.append_to_end)(str(conversation.pk), epoch=conversation.epoch, body=body)
    except (events.HistoryLost, events.LogUnavailable) as error:
        logger.warning("retraction of %s is not in the event log: %s", message.pk, error)
    try:
        _forget_text(message)
    except RedisError as error:
        logger.warning("text of %s stays in the event log until it expires: %s", message.pk, error)


def _forget_text(message: Message) -> None:
    key = events.key_of(str(message.conversation_id))
    rows: Any = get_redis().xrange(key)
    spoken = [stream_id for stream_id, fields in rows if _speaks(json.loads(fields[b"b"]), str(message.pk))]
    if spoken:
        get_redis().xdel(key, *spoken)


def _speaks(body: dict[str, Any], message_id: str) -> bool:
    """Whether the event holds words of the message."""
    if body["type"] in {"delta", "citations"}:
        return body.get("message") == message_id
    message = body.get("message")
    return isinstance(message, dict) and message.get("id") == message_id
