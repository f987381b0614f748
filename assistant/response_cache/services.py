"""Answers that are given again: look up, keep, forget. The exact tier; Valkey down is a miss.

Kept is only what was finished and cleared by the guard. Shared is only what is a first, impersonal question
with an answer that no history and no tool shaped; anything else needs a `user_scope` and stays with it.
The database has the last word: an entry whose message was retracted, deleted or voted down by staff is a
miss and goes, even if Valkey was away when it should have been forgotten.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.apps import apps
from django.core.cache import caches

from assistant.response_cache import flight, metrics
from assistant.response_cache.bypass import is_left_aside
from assistant.response_cache.entries import Answer, EntryInvalid, pack, unpack
from assistant.response_cache.keys import Question, branch_of, cache_key, fingerprint

__all__ = ["Answer", "Hit", "Question", "branch_of", "forget", "join", "link", "lookup", "store"]

log = logging.getLogger(__name__)
TTL_S = 30 * 24 * 3600
KEPT_OUTCOMES = ("answered", "refused")
join = flight.join


@dataclass(frozen=True)
class Hit:
    key: str
    answer: Answer

    @property
    def receipt(self) -> dict[str, Any]:
        """What a receipt says of the cache."""
        return {"tier": "exact", "age_s": round(self.answer.age_s, 1)}


def lookup(question: Question) -> Hit | None:
    """The kept answer to this question, if it still stands. Never raises for a broken cache or entry."""
    if not question.is_cacheable or is_left_aside():
        return None
    with metrics.LOOKUP_SECONDS.time():
        hit, result = _lookup(question)
    metrics.LOOKUPS.labels(result).inc()
    return hit


def _lookup(question: Question) -> tuple[Hit | None, str]:
    key = cache_key(question)
    try:
        packed = _cache().get(key)
    except ValueError:  # not even JSON
        packed = b""
    if packed is None:
        return None, "miss"
    try:
        answer = unpack(packed, fingerprint(question))
    except EntryInvalid as error:
        log.warning("a cache entry was dropped: %s", error)
        _cache().delete(key)
        return None, "corrupt"
    if not _still_stands(answer.message_id):
        _cache().delete(key)
        return None, "withdrawn"
    return Hit(key, answer), "hit"


def store(question: Question, answer: Answer) -> bool:
    """Keep a finished, cleared answer; says whether it was kept. Call it after the message was saved."""
    is_shared = not question.user_scope
    if (
        not question.is_cacheable
        or is_left_aside()
        or answer.outcome not in KEPT_OUTCOMES
        or not answer.text.strip()
    ):
        return False
    if is_shared and not answer.is_shareable:
        return False
    key = cache_key(question)
    if not _cache().set(key, pack(answer, fingerprint(question)), TTL_S):
        return False  # Valkey is away
    link(message_id=answer.message_id, key=key)
    metrics.STORED.labels("shared" if is_shared else "private").inc()
    return True


def link(*, message_id: UUID | str, key: str) -> None:
    """Remember that this message shows the answer kept under `key`: after a hit, or a followed flight."""
    _cache().set(f"of:{message_id}", key, TTL_S)


def forget(message_id: UUID | str) -> bool:
    """Take out the answer that was made from this message or shown in it; says whether there was one."""
    try:
        key = _cache().get(f"of:{message_id}")
    except ValueError:
        key = None
    if not isinstance(key, str):
        return False
    _cache().delete_many([key, f"of:{message_id}"])
    metrics.FORGOTTEN.inc()
    return True


def _still_stands(message_id: str) -> bool:
    """The source is complete in the database. Looked up by name: conversations know the cache, not the
    other way round."""
    messages = apps.get_model("conversations", "Message").objects
    return messages.filter(pk=message_id, state="complete").exists()


def _cache() -> Any:
    """django-redis: its `set` says whether it could, and a broken connection is a miss."""
    return caches["responses"]
