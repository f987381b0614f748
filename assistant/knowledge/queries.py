"""A layman's question becomes what an index understands.

Stop words go, identifiers are taken apart, neighbours are tried as one word (query set → queryset),
misspelt words are corrected by the collection's own vocabulary, synonyms are added at a lower weight,
and Chinese is matched both as it is and through a glossary of software words, because most manuals and
the embedding model are English. The word lists are plain files in `words/`.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from assistant.knowledge import fulltext
from assistant.knowledge.terms import CAMEL, CJK_RUN, HUMP, pairs, stem, words

WORDS = Path(__file__).parent / "words"
MAX_TERMS = 24


@dataclass(frozen=True)
class Query:
    """terms: what was asked, each a word or phrase; related: synonyms, joined and corrected words;
    counts: number of passages that hold each term; text: English for the embedding model."""

    terms: list[str]
    related: list[str]
    counts: dict[str, int]
    text: str
    is_chinese: bool

    @property
    def unknown(self) -> list[str]:
        """Words that nobody wrote and that no correction was found for."""
        return [term for term in self.terms if not self.counts.get(term)]


def understand(question: str, *, english: str = "") -> Query:
    """Reads the vocabulary in the database, a few quick lookups.

    `english`: a translation of a Chinese question; the glossary's words then only stand beside it.
    """
    runs = CJK_RUN.findall(question)
    is_chinese = sum(map(len, runs)) >= 2
    meanings = [main_words(meaning) for run in runs for meaning in translate(run)]
    own = CJK_RUN.sub(" ", question)
    asked = key_terms(words(f"{own} {english}"))
    firsts = [] if english else [word for meaning in meanings for word in meaning[:1]]
    terms = unique([*asked, *firsts])[:MAX_TERMS]
    counts = fulltext.num_passages_with(terms)
    related = unique(
        [
            *(pair for run in runs for pair in pairs(run)),
            *(word for meaning in meanings for word in meaning),
            *identifier_parts(question),
            *joined(asked),
            *(found for term in terms if not counts[term] and (found := corrected(term))),
            *(other for term in asked for other in synonyms().get(term, ())),
        ]
    )
    gloss = " ".join(word for meaning in meanings for word in meaning)
    text = question if not is_chinese else f"{own} {english or gloss}".strip()
    return Query(terms, [term for term in related if term not in terms], counts, text, is_chinese)


def translate(run: str) -> list[str]:
    """Glossary meanings of a run of Chinese, longest match first; what it does not know is skipped."""
    known = glossary()
    found = []
    at = 0
    while at < len(run):
        for size in range(min(8, len(run) - at), 0, -1):
            if meaning := known.get(run[at : at + size]):
                found.append(meaning)
                at += size
                break
        else:
            at += 1
    return found


def main_words(meaning: str) -> list[str]:
    return [word for word in meaning.split() if word not in stop_words()]


def identifier_parts(question: str) -> list[str]:
    """`SearchVector` → search vector; `app.conf.timezone` → conf, timezone."""
    humps = [" ".join(HUMP.findall(name)).lower() for name in CAMEL.findall(question)]
    dotted = [part for word in words(question) if "." in word for part in word.split(".") if len(part) > 2]
    return [*humps, *dotted]


def joined(terms: list[str]) -> list[str]:
    """Neighbours as one word, when somebody wrote it so."""
    pairs_of = [first + second for first, second in pairwise(terms) if (first + second).isalnum()]
    return [word for word, count in fulltext.num_passages_with(pairs_of[:8]).items() if count]


def key_terms(asked: list[str]) -> list[str]:
    """The words that carry the question: known phrases as one term ("log in"), stop words left out."""
    known = synonyms()
    found = []
    at = 0
    while at < len(asked):
        for size in (4, 3, 2):
            phrase = " ".join(asked[at : at + size])
            if phrase in known and at + size <= len(asked):
                found.append(phrase)
                at += size
                break
        else:
            if asked[at] not in stop_words():
                found.append(asked[at])
            at += 1
    return found


def corrected(term: str) -> str | None:
    """The word of the vocabulary that was meant, if one is very close. Short words are left alone."""
    if len(term) < 5 or not term.isalpha():
        return None
    base = stem(term)
    near = fulltext.vocabulary(base[:1], lengths=range(max(3, len(base) - 2), len(term) + 3))
    close = difflib.get_close_matches(base, near, n=1, cutoff=0.8) or difflib.get_close_matches(
        term, near, n=1, cutoff=0.8
    )
    return close[0] if close else None


def unique(items: list[str]) -> list[str]:
    return list(dict.fromkeys(items))


@lru_cache(maxsize=1)
def stop_words() -> frozenset[str]:
    return frozenset((WORDS / "stop.txt").read_text(encoding="utf-8").split())


def rarity(word: str) -> float:
    """0..1: how rare a word is in English at large, by its rank; 1 for what is not among the common ones."""
    ranks = common_words()
    return min(1.0, math.sqrt(ranks.get(stem(word), len(ranks)) / len(ranks)))


@lru_cache(maxsize=1)
def common_words() -> dict[str, int]:
    """Stem → rank of its most frequent word, from 1."""
    ranks: dict[str, int] = {}
    for rank, word in enumerate(entries("common.txt"), 1):
        ranks.setdefault(stem(word), rank)
    return ranks


@lru_cache(maxsize=1)
def synonyms() -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for line in entries("synonyms.txt"):
        group = tuple(word.strip() for word in line.split(","))
        for word in group:
            table[word] = table.get(word, ()) + tuple(other for other in group if other != word)
    return table


@lru_cache(maxsize=1)
def glossary() -> dict[str, str]:
    return dict(line.split(" ", 1) for line in entries("zh.txt"))


def entries(name: str) -> list[str]:
    lines = (WORDS / name).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if re.match(r"[^#\s]", line)]
