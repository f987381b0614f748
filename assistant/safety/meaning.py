"""Rules about what a text wants: injected instructions, self-harm, threats, hate, insults.

A rule is tried only where one of its trigger words stands, so a long harmless text costs a few substring
searches. Patterns see `folding.plain_words` and are bounded. They are a rail, not a wall: what tells an
attack from a question *about* attacks is mostly who speaks and in which mood, so every rule is written
against its harmless twins (tests/assistant/safety/twins.toml), and both rates are reported in docs/safety.md.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from assistant.safety.folding import plain_words

Check = Literal["injection", "self_harm", "threat", "hate", "insult"]
CHECKS: tuple[Check, ...] = ("self_harm", "threat", "hate", "injection", "insult")


@dataclass(frozen=True)
class Rule:
    check: Check
    name: str
    triggers: tuple[str, ...]
    pattern: re.Pattern[str]
    # A match after these words of the same sentence is a question about the thing, not the thing.
    unless_after: re.Pattern[str] | None = None

    def matches(self, text: str) -> bool:
        if not any(trigger in text for trigger in self.triggers):
            return False
        for match in self.pattern.finditer(text):
            before = re.split(r"[.!?\n。！？]", text[max(0, match.start() - 80) : match.start()])[-1]
            if self.unless_after is None or not self.unless_after.search(before):
                return True
        return False


def _regex(lines: str) -> re.Pattern[str]:
    return re.compile("".join(line.lstrip() for line in lines.splitlines()))


@lru_cache(maxsize=1)
def rules() -> tuple[Rule, ...]:
    """All rules, from meaning.toml."""
    data = tomllib.loads(Path(__file__).with_name("meaning.toml").read_text())
    named = {name: _regex(lines) for name, lines in data["unless"].items()}
    return tuple(
        Rule(
            check=rule["check"],
            name=rule["name"],
            triggers=tuple(rule["triggers"]),
            pattern=_regex(rule["pattern"]),
            unless_after=(
                named.get(rule["unless_after"]) or _regex(rule["unless_after"])
                if "unless_after" in rule
                else None
            ),
        )
        for rule in data["rule"]
    )


# What an answer of ours must never say, whoever asked.
OUTPUT_CHECKS: tuple[Check, ...] = ("threat", "hate")


def broken_rules(text: str, *, checks: Iterable[Check] = CHECKS) -> Iterator[Rule]:
    """The rules that `text` meets, the gravest check first."""
    wanted = set(checks)
    plain = plain_words(text)
    for check in CHECKS:
        if check in wanted:
            yield from (rule for rule in rules() if rule.check == check and rule.matches(plain))


def injected(text: str) -> str | None:
    """The name of the injection rule that a retrieved text meets: for scenarios that quote strangers."""
    return next((rule.name for rule in broken_rules(text, checks=("injection",))), None)
