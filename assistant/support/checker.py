"""Each sentence of the model against its passages, before anybody sees it.

Numbers and identifiers must stand in what was quoted or asked: a small model picks the wrong one when it
sees many. Names must stand in the passages. A sentence with others is dropped, and the quotation stands
alone. So are sentences that announce what does not follow, say that
nothing is known (that was decided before, by measurement), or repeat the quotation.
"""

from __future__ import annotations

import re

from assistant.knowledge.terms import CJK_RUN, stem, stems, words
from assistant.safety.findings import Finding

NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*(?![\w])")
IDENTIFIER = re.compile(
    r"`[^`\n]+`|\b\w+(?:\.\w+)+\b|\b\w*[a-z]_\w+\b|\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b|\b[a-z]+[A-Z]\w*\b"
    r"|\b[A-Z][a-z]+[A-Z]\w*\b|(?<!\S)--?[a-z][\w-]+"
)
NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-zA-Z]+\b")
CITATION = re.compile(r"\[\d\]")
SAYS_NOTHING = re.compile(
    r"\b(?:i (?:do not|don't) know|i(?:'m| am) (?:not sure|sorry|an ai)|as an ai)\b"
    r"|\b(?:passages?|quotation|documentation|text|manual) (?:do(?:es)? not|doesn't|don't) "
    r"(?:mention|say|contain|provide|specify|explain|include)"
    r"|\bnot (?:mentioned|specified|provided) in the (?:passages?|text|manual)\b"
    r"|我不知道|没有提到|未提及|没有说明|无法回答|没有提供",
    re.IGNORECASE,
)
ECHO = re.compile(
    r"\bthe (?:reader|quotation|passages?|most important words)\b|读者|引文|最重要的词", re.IGNORECASE
)
MIN_GROUNDED = 0.55
MIN_WORDS = 4
PLAIN_NAMES = frozenset({"English", "Python", "I", "Yes", "No", "The", "You", "If", "It", "This"})


class SupportChecker:
    """passages: what the answer may rest on; question: whose words may be used too; quoted: seen already."""

    def __init__(self, *, passages: str, question: str, quoted: str) -> None:
        allowed = f"{passages}\n{question}"
        self.text = squeeze(allowed)
        shown = f"{quoted}\n{question}"
        self.shown = squeeze(shown)
        self.numbers = set(NUMBER.findall(shown))
        self.stems = stems(allowed)
        self.quoted = squeeze(quoted)
        self.question = squeeze(question)

    def check(self, sentence: str) -> Finding | None:
        text = CITATION.sub("", sentence).strip()
        reason = self.fault(text) if re.search(r"\w", text) else None
        return Finding("support_grounding", "drop", reason, stage="output") if reason else None

    def fault(self, text: str) -> str | None:
        """Why the sentence cannot stand, or None."""
        if SAYS_NOTHING.search(text):
            return "says that nothing is known, beside a quotation"
        if ECHO.search(text) or squeeze(text).rstrip("?？. ") in self.question:
            return "speaks of the task or repeats the question"
        if len(words(text)) < MIN_WORDS and not CJK_RUN.search(text):
            return "a bare yes or no, which nothing supports"
        if text.endswith((":", "：")):
            return "announces what does not follow"
        if unsupported := [number for number in NUMBER.findall(text) if number not in self.numbers]:
            return f"{len(unsupported)} numbers that were not quoted"
        if unsupported := [name for name in IDENTIFIER.findall(text) if not self.knows(name)]:
            return f"{len(unsupported)} identifiers that were not quoted"
        if unsupported := [name for name in NAME.findall(text) if not self.is_known_name(name)]:
            return f"{len(unsupported)} names that no passage holds"
        if self.repeats(text):
            return "repeats the quotation"
        return None if self.is_grounded(text) else "most of its words are in no passage"

    def knows(self, identifier: str) -> bool:
        """Whole identifiers only: `min_len` is not `min_length`. A dotted name counts by its last part."""
        bare = squeeze(identifier.strip("`").rstrip("()"))
        last = bare.rsplit(".", 1)[-1]
        return any(
            re.search(rf"(?<!\w){re.escape(name)}(?!\w)", self.shown)
            for name in (bare, last)
            if len(name) > 1
        )

    def is_known_name(self, name: str) -> bool:
        return name in PLAIN_NAMES or name.lower() in self.text or stem(name.lower()) in self.stems

    def repeats(self, text: str) -> bool:
        mine = stems(text)
        return len(mine) >= 5 and squeeze(text).rstrip(".。") in self.quoted

    def is_grounded(self, text: str) -> bool:
        """English only: between languages, words cannot be compared."""
        content = [stem(word) for word in words(text) if len(word) > 4]
        if len(content) < 4:
            return True
        return sum(word in self.stems for word in content) / len(content) >= MIN_GROUNDED


def squeeze(text: str) -> str:
    return " ".join(text.replace("`", "").replace("*", "").lower().split())
