"""An answer as it is kept: signed text, checked when it comes back, never pickled."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from django.core import signing
from pydantic import TypeAdapter, ValidationError

_SALT = "assistant.response_cache"
_PIECE = re.compile(r"[^\n]{0,400}?[.!?。！？]\s+|[^\n]{0,400}\n|[^\n]{1,400}|\n")


class EntryInvalid(ValueError):
    """The stored text was altered, belongs to another question or another release."""


@dataclass(frozen=True)
class Answer:
    """What is given again.

    text        redacted, as released by the guard
    outcome     "answered" or "refused"; nothing else is kept
    message_id  the answer it was made from, so that it can be forgotten
    receipt     model, sources, policies of the first making
    is_shareable    no personal data, history or tool shaped it
    """

    text: str
    outcome: str
    message_id: str
    citations: list[dict[str, Any]] = field(default_factory=list)
    receipt: dict[str, Any] = field(default_factory=dict)
    is_shareable: bool = False
    created: float = field(default_factory=time.time)

    @property
    def age_s(self) -> float:
        return max(0.0, time.time() - self.created)

    def replay(self) -> Iterator[str]:
        """The text in pieces, as a stream would have brought it."""
        yield from _PIECE.findall(self.text)


_ADAPTER: TypeAdapter[Answer] = TypeAdapter(Answer)


def pack(answer: Answer, fingerprint: dict[str, Any]) -> str:
    """One signed line; the fingerprint goes with it, so that an entry cannot be moved to another question."""
    return signing.dumps({"answer": asdict(answer), "of": fingerprint}, salt=_SALT, compress=True)


def unpack(packed: Any, fingerprint: dict[str, Any]) -> Answer:
    """The answer to exactly this question. Raises EntryInvalid."""
    if not isinstance(packed, str):
        raise EntryInvalid(f"an entry is text, not {type(packed).__name__}")
    try:
        content = signing.loads(packed, salt=_SALT)
    except (signing.BadSignature, ValueError) as error:
        raise EntryInvalid(f"its signature does not hold: {type(error).__name__}") from None
    if content.get("of") != fingerprint:
        raise EntryInvalid("it answers another question")
    try:
        return _ADAPTER.validate_python(content.get("answer"))
    except ValidationError as error:
        raise EntryInvalid(f"its fields do not fit: {error.error_count()} faults") from None
