"""The words shown in place of an answer, by language: the policy's own, else those of replies.toml."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path

from assistant.safety.rules import Rules

FALLBACK = "en"


@lru_cache(maxsize=1)
def _texts() -> dict[str, dict[str, str]]:
    return tomllib.loads(Path(__file__).with_name("replies.toml").read_text())


def reply(name: str, *, locale: str, rules: Rules) -> str:
    """The text for a check in the reader's language, in one near it, or in English."""
    for texts in (rules.replies, _texts()):
        for language in _near(locale):
            if name in texts.get(language, {}):
                return texts[language][name].strip()
    return _texts()[FALLBACK]["retracted"]


def _near(locale: str) -> list[str]:
    locale = locale.lower().replace("_", "-")
    language = locale.split("-")[0]
    return [locale, "zh-hans" if language == "zh" else language, FALLBACK]
