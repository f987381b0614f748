"""The assistant's own words, in the language of the question; see replies.toml."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path

from assistant.knowledge.terms import CJK_RUN


@lru_cache(maxsize=1)
def texts() -> dict[str, dict[str, str]]:
    return tomllib.loads(Path(__file__).with_name("replies.toml").read_text(encoding="utf-8"))


def language_of(question: str, *, locale: str) -> str:
    """The question's language where it shows; the reader's where it does not ("OK?", "HTTP 500")."""
    if CJK_RUN.search(question):
        return "zh-hans"
    has_words = sum(word.isascii() and word.isalpha() for word in question.split()) >= 2
    return "zh-hans" if locale.lower().startswith("zh") and not has_words else "en"


def reply(name: str, *, language: str, **values: str) -> str:
    return texts()[language][name].strip().format(**values)
