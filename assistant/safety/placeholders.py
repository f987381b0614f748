"""Personal data out, placeholders in; and back again for the owner's eyes only.

A placeholder is a kind and a number, `[EMAIL_1]`. The mapping back is kept sealed beside the message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from assistant.safety import personal

PLACEHOLDER = re.compile(rf"\[(?:{'|'.join(personal.KINDS)})_\d{{1,4}}\]")
_OPEN_TAIL = re.compile(r"\[[A-Z]{0,5}(?:_\d{0,4})?\Z")


@dataclass(frozen=True)
class Redacted:
    text: str
    private: dict[str, str]


def redact(
    text: str,
    *,
    locale: str = "en",
    kinds: Iterable[str] = personal.KINDS,
    known: Mapping[str, str] | None = None,
) -> Redacted:
    """Replace personal data. `known` (placeholder to value) comes from earlier messages of the conversation:
    the same value keeps its placeholder, a new one gets a number of its own. What the text already says in
    the form of a placeholder is never given to a value."""
    spans = personal.find(text, locale=locale, kinds=kinds)
    if not spans:
        return Redacted(text, {})
    by_value = {personal.canonical(value): placeholder for placeholder, value in (known or {}).items()}
    taken = set(known or {}) | set(PLACEHOLDER.findall(text))
    private: dict[str, str] = {}
    pieces, end = [], 0
    for span in spans:
        key = personal.canonical(span.value)
        placeholder = by_value.get(key) or _next(span.kind, taken)
        taken.add(placeholder)
        by_value[key] = placeholder
        private[placeholder] = span.value
        pieces += [text[end : span.start], placeholder]
        end = span.end
    return Redacted("".join([*pieces, text[end:]]), private)


def _next(kind: str, taken: set[str]) -> str:
    number = 1
    while f"[{kind}_{number}]" in taken:
        number += 1
    return f"[{kind}_{number}]"


def restore(text: str, private: Mapping[str, str]) -> str:
    """Put the values back. Placeholders that are not in the mapping stay as they are."""
    return PLACEHOLDER.sub(lambda match: private.get(match[0], match[0]), text) if private else text


class StreamRestorer:
    """`restore` for a text that comes in deltas: a placeholder may be split between two."""

    def __init__(self, private: Mapping[str, str]) -> None:
        self.private = private
        self._held = ""

    def feed(self, delta: str) -> str:
        if not self.private:
            return delta
        text = self._held + delta
        tail = _OPEN_TAIL.search(text)
        cut = tail.start() if tail else len(text)
        self._held = text[cut:]
        return restore(text[:cut], self.private)

    def finish(self) -> str:
        text, self._held = self._held, ""
        return restore(text, self.private)
