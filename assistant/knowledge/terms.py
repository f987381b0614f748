"""Words as they are indexed and looked up: one rule for both sides, or nothing is found.

English goes through as it is (the database stems it). Identifiers are indexed whole and in their parts
(`getUserName` → getUserName get User Name). Chinese has no spaces and most of its words have two
characters, which a trigram index cannot look up; so it is indexed as overlapping pairs.
"""

from __future__ import annotations

import re

CJK_RUN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
CAMEL = re.compile(r"\b(?=\w*[a-z])\w*[a-z\d][A-Z]\w*\b|\b[A-Z]{2,}[a-z]\w*\b")
HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
WORD = re.compile(r"[a-z0-9]+(?:[._\-][a-z0-9]+)*\+{0,2}")
SUFFIXES: tuple[str, ...] = (
    "ization",
    "ational",
    "fulness",
    "ations",
    "ation",
    "ingly",
    "ments",
    "ment",
    "ings",
    "ness",
    "ing",
)
SUFFIXES += ("edly", "ized", "izes", "ize", "ies", "ied", "ers", "ors", "es", "ed", "er", "or", "ly", "s")


def index_terms(text: str) -> str:
    """`text` with the parts of identifiers and the pairs of Chinese characters added."""
    parts = [piece for name in set(CAMEL.findall(text)) for piece in HUMP.findall(name)]
    spaced = CJK_RUN.sub(lambda run: f" {' '.join(pairs(run.group()))} ", text)
    return f"{spaced} {' '.join(parts)}" if parts else spaced


def pairs(run: str) -> list[str]:
    """Overlapping pairs of a run of Chinese characters; a single one stands alone."""
    return [run[at : at + 2] for at in range(len(run) - 1)] or [run]


def words(text: str) -> list[str]:
    """Lower-case English words and identifiers, in order; `task_always_eager` is one."""
    return WORD.findall(text.lower())


def stem(word: str) -> str:
    """A word without its ending, for comparing two texts in memory: retries, retried, retry → retr."""
    if len(word) <= 3 or not word.isalpha():
        return word
    for suffix in SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word[: -len(suffix)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "sl":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] in "yei" else word


def stems(text: str) -> set[str]:
    """Stems of all words and of the parts of identifiers: what a text is about, for overlap."""
    found: set[str] = set()
    for name in CAMEL.findall(text):
        found |= {stem(piece.lower()) for piece in HUMP.findall(name)}
    for word in words(text):
        found.add(stem(word))
        if not word.isalnum():
            found |= {stem(piece) for piece in re.split(r"[._\-+]", word) if piece}
    for run in CJK_RUN.findall(text):
        found |= set(pairs(run))
    return found
