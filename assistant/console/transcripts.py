"""A conversation as staff read it: the branch the visitor sees, and beside each answer how it was made.

Reads the rows as they are stored, so placeholders stay placeholders: nothing here opens a sealed value.
While an answer streams, its text and its events come from the event log.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.utils.safestring import SafeString, mark_safe
from redis import RedisError

from assistant.conversations.events import Cursor, key_of
from assistant.conversations.models import Conversation, Message, Turn
from assistant.knowledge.rendering import render
from assistant.redis import get_redis
from assistant.safety.models import Verdict

MAX_EVENTS = 5000
ACTIVE = (Turn.State.QUEUED, Turn.State.RUNNING)


@dataclass(frozen=True)
class Step:
    """One event, or a run of text deltas taken together."""

    cursor: str
    name: str
    detail: str = ""


@dataclass
class Entry:
    """One message of the branch with what belongs to it. `versions` are the ids of all its siblings."""

    message: Message
    text: str
    versions: list[UUID]
    verdicts: list[Verdict] = field(default_factory=list)
    turn: Turn | None = None
    steps: list[Step] = field(default_factory=list)

    @property
    def html(self) -> SafeString:
        return mark_safe(render(self.text))  # noqa: S308 (markdown-it without HTML, then nh3)

    @property
    def version_number(self) -> int:
        return self.versions.index(self.message.pk) + 1

    @property
    def receipt(self) -> dict[str, Any]:
        return self.message.receipt or {}

    @property
    def is_answer(self) -> bool:
        return self.message.role == Message.Role.ASSISTANT


@dataclass(frozen=True)
class Transcript:
    conversation: Conversation
    entries: list[Entry]
    is_running: bool
    version: str


def read(conversation: Conversation, *, leaf_id: UUID | None = None) -> Transcript:
    """The branch that ends at `leaf_id`, or the one the visitor has chosen."""
    messages = {message.pk: message for message in conversation.messages.defer("private")}
    turns = {turn.answer_id: turn for turn in conversation.turns.all()}
    log = _read_log(conversation.pk)
    siblings: dict[Any, list[UUID]] = defaultdict(list)
    for message in messages.values():
        siblings[message.parent_id, message.role].append(message.pk)
    entries = [
        _entry(message, siblings[message.parent_id, message.role], turns.get(message.pk), log)
        for message in _branch(messages, leaf_id or conversation.leaf_id)
    ]
    _add_verdicts(conversation, entries)
    is_running = any(turn.state in ACTIVE for turn in turns.values())
    return Transcript(conversation, entries, is_running, _version(entries))


def _branch(messages: dict[UUID, Message], leaf_id: UUID | None) -> list[Message]:
    """From the root to the leaf, and on to the newest message below it."""
    if not messages:
        return []
    leaf = messages.get(leaf_id) if leaf_id else None
    newest = leaf or list(messages.values())[-1]
    below = [message for message in messages.values() if message.parent_id == newest.pk]
    while below:
        newest = below[-1]
        below = [message for message in messages.values() if message.parent_id == newest.pk]
    path = [newest]
    while path[-1].parent_id in messages:
        path.append(messages[path[-1].parent_id])
    return path[::-1]


Log = list[tuple[Cursor, dict[str, Any]]]


def _entry(message: Message, versions: list[UUID], turn: Turn | None, log: Log) -> Entry:
    own = [(cursor, body) for cursor, body in log if turn and body.get("turn") == str(turn.pk)]
    text = message.text
    if message.state == Message.State.STREAMING:
        text = _streamed(own, str(message.pk)) or text
    return Entry(message, text, versions, turn=turn, steps=_steps(own))


def _streamed(log: Log, message_id: str) -> str:
    """What the events say the text is by now."""
    text = ""
    for _cursor, body in log:
        if body.get("message") != message_id:
            continue
        if body["type"] == "delta":
            text += body["text"]
        elif body["type"] in {"reset", "retract"}:
            text = body.get("text", "")
    return text


def _steps(log: Log) -> list[Step]:
    steps: list[Step] = []
    num_deltas, num_chars = 0, 0
    for cursor, body in log:
        if body["type"] == "delta":
            num_deltas, num_chars = num_deltas + 1, num_chars + len(body["text"])
            step = Step(str(cursor), "delta", f"{num_deltas}×, {num_chars} characters")
            steps = [*(steps[:-1] if num_deltas > 1 else steps), step]
            continue
        num_deltas, num_chars = 0, 0
        steps.append(Step(str(cursor), body["type"], _detail(body)))
    return steps


def _detail(body: dict[str, Any]) -> str:
    shown = ("state", "place", "expected_wait_s", "reason")
    return ", ".join(f"{name} {body[name]}" for name in shown if body.get(name) not in (None, ""))


def _add_verdicts(conversation: Conversation, entries: Iterable[Entry]) -> None:
    by_message: dict[UUID | None, list[Verdict]] = defaultdict(list)
    for verdict in Verdict.objects.filter(conversation_id=conversation.pk).order_by("created_at"):
        by_message[verdict.message_id].append(verdict)
    for entry in entries:
        entry.verdicts = by_message[entry.message.pk]


def _read_log(conversation_id: UUID) -> Log:
    """The events that are still kept; none when Valkey does not answer, for the rows tell the rest."""
    try:
        rows: Any = get_redis().xrange(key_of(str(conversation_id)), count=MAX_EVENTS)
    except RedisError:
        return []
    return [(Cursor.of(stream_id), json.loads(fields[b"b"])) for stream_id, fields in rows]


def _version(entries: list[Entry]) -> str:
    """Changes whenever the page would."""
    seen = [
        (str(entry.message.pk), entry.text, entry.message.state, entry.message.feedback, len(entry.verdicts))
        for entry in entries
    ]
    steps = [entry.steps[-1].cursor for entry in entries if entry.steps]
    return hashlib.blake2b(repr((seen, steps)).encode(), digest_size=8).hexdigest()
