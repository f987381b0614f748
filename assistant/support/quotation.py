"""The sentence of the manual that answers the question, chosen by code and shown word for word.

Passages are taken apart into units (sentences, list items, rows, code), each unit is scored by its meaning,
its words and its passage, and the best one is quoted with what it needs to be understood: the code that it
announces, or the sentence that it points back to.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assistant.knowledge.passages import SENTENCE_END, parser, plain
from assistant.knowledge.search import Hit
from assistant.knowledge.terms import stems

MAX_UNITS = 20
MAX_CODE_LINES = 14
POINTS_BACK = re.compile(
    r"^(this|that|these|those|it|they|such|the (?:former|latter)|however|but|also|then|so)\b", re.I
)

REFERS = re.compile(r"^(for (more|details|a full)\b.*\bsee|see|please see|refer to|read more)\b", re.I)

MEANING_WEIGHT = 1.0
WORDS_WEIGHT = 0.3
PASSAGE_WEIGHT = 0.6

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Unit:
    """A quotable piece. `kind`: "sentence", "item", "row" or "code"; `paragraph` numbers its block."""

    hit: int
    paragraph: int
    kind: str
    text: str


@dataclass(frozen=True)
class Scored:
    unit: Unit
    score: float
    meaning: float
    words: float


@dataclass(frozen=True)
class Quote:
    """`text` is Markdown, word for word as in the passage; `best` the unit it was chosen for."""

    hit: int
    text: str
    best: Scored


def units_of(hits: Sequence[Hit]) -> list[Unit]:
    return [unit for number, hit in enumerate(hits) for unit in take_apart(number, hit.passage.text)]


# Right in its article, a link to a neighbour leads nowhere from a chat on another page.
RELATIVE_LINK = re.compile(r"(?<!!)\[([^\]\n]{1,300})\]\((?!https?://|mailto:|/)[^)\s]{0,500}\)")


def take_apart(number: int, text: str) -> list[Unit]:
    lines = text.split("\n")
    found: list[Unit] = []
    for token in parser.parse(text):
        if not token.map:
            continue
        source = "\n".join(lines[token.map[0] : token.map[1]]).strip("\n")
        at = len(found)
        if token.type == "fence":
            found.append(Unit(number, at, "code", source))
        elif token.type == "code_block" and token.level == 0:
            found.append(Unit(number, at, "code", f"```\n{token.content.rstrip()}\n```"))
        elif token.type == "list_item_open" and token.level == 1:
            found.append(Unit(number, at, "item", source))
        elif token.type == "table_open":
            found += [Unit(number, at, "row", row) for row in rows_of(source)]
        elif token.type == "paragraph_open" and token.level == 0:
            sentences = SENTENCE_END.split(" ".join(source.split()))
            found += [Unit(number, at, "sentence", part) for part in sentences if part.strip()]
    return found


def rows_of(table: str) -> list[str]:
    """Each row as a list item: a row without its head is no table, and a quotation seldom holds the head."""
    rows = [re.split(r"(?<!\\)\|", row.strip().strip("|")) for row in table.split("\n")]
    cells = ([cell.strip() for cell in row] for row in rows)
    return [
        "- " + " · ".join(filter(None, row)) for row in cells if not re.fullmatch(r"[-: ]*", "".join(row))
    ]


def score(
    units: Sequence[Unit],
    hits: Sequence[Hit],
    weights: Mapping[str, float],
    question: Vector,
    vectors: Mapping[str, Vector],
) -> list[Scored]:
    """Best first. weights: stem → idf of what was asked; vectors: embedding of each unit that has one."""
    best = max((hit.score for hit in hits), default=1.0)
    scored = []
    for unit in units:
        meaning = float(question @ vectors[unit.text]) if unit.text in vectors else 0.0
        words = overlap(unit.text, weights)
        passage = hits[unit.hit].score - best
        total = MEANING_WEIGHT * meaning + WORDS_WEIGHT * words + PASSAGE_WEIGHT * passage
        scored.append(Scored(unit, total - penalty(unit), meaning, words))
    return sorted(scored, key=lambda entry: -entry.score)


def overlap(text: str, weights: Mapping[str, float]) -> float:
    """Share of what was asked, by weight, that the text holds: 0..1."""
    total = sum(weights.values())
    return sum(weight for stem, weight in weights.items() if stem in stems(text)) / total if total else 0.0


def penalty(unit: Unit) -> float:
    """Code alone, bare labels and questions support nothing by themselves."""
    length = len(unit.text)
    if unit.kind == "code":
        return 0.1
    return 0.15 if length < 25 or REFERS.match(unit.text) or unit.text.rstrip().endswith("?") else 0.0


def worth_embedding(units: Sequence[Unit], hits: Sequence[Hit], weights: Mapping[str, float]) -> list[str]:
    """The texts that may win, at most MAX_UNITS: those of good passages and with the question's words."""
    ranked = score(units, hits, weights, np.zeros(1, dtype=np.float32), {})
    return list(dict.fromkeys(entry.unit.text for entry in ranked[:MAX_UNITS]))


def choose(units: Sequence[Unit], ranked: Sequence[Scored], *, max_characters: int) -> Quote:
    """The best unit with its neighbours, as far as they belong to it and there is room."""
    best = ranked[0]
    mine = [unit for unit in units if unit.hit == best.unit.hit]
    at = mine.index(best.unit)
    first = last = at
    if at and (POINTS_BACK.match(mine[at].text) or mine[at].kind == "code"):
        first -= 1
    scores = {id(entry.unit): entry.score for entry in ranked}
    while True:
        size = sum(len(unit.text) for unit in mine[first : last + 1])
        following = mine[last + 1] if last + 1 < len(mine) else None
        announced = mine[last].text.rstrip().endswith((":", "：", ":**")) and last - first < 12
        if following and announced:
            last += 1
            while mine[last].kind == "item" and last + 1 < len(mine) and mine[last + 1].kind == "item":
                if sum(len(unit.text) for unit in mine[first : last + 2]) > max_characters * 1.5:
                    break
                last += 1
            continue
        before = mine[first - 1] if first else None
        options = [unit for unit in (before, following) if unit and size + len(unit.text) <= max_characters]
        if not options:
            break
        chosen = max(options, key=lambda unit: scores.get(id(unit), -1.0))
        if chosen is before:
            first -= 1
        else:
            last += 1
    return Quote(best.unit.hit, join(mine[first : last + 1]), best)


def join(units: Sequence[Unit]) -> str:
    """Units as Markdown again: sentences of a paragraph on one line, code shortened by whole lines."""
    parts: list[str] = []
    previous: Unit | None = None
    for unit in units:
        text = shorten(unit.text) if unit.kind == "code" else RELATIVE_LINK.sub(r"\1", unit.text)
        if previous and unit.kind == "sentence" == previous.kind and unit.paragraph == previous.paragraph:
            parts[-1] += f" {text}"
        elif previous and unit.kind in ("item", "row") and unit.kind == previous.kind:
            parts[-1] += f"\n{text}"
        else:
            parts.append(text)
        previous = unit
    return "\n\n".join(parts)


def shorten(code: str) -> str:
    lines = code.split("\n")
    if len(lines) <= MAX_CODE_LINES + 2:
        return code
    return "\n".join([*lines[: MAX_CODE_LINES + 1], lines[-1]])


def blockquote(markdown: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in markdown.split("\n"))


class Remembered:
    """Embeddings of units that were scored before; the same good passages come up again and again."""

    def __init__(self, size: int = 20_000) -> None:
        self.size = size
        self.kept: OrderedDict[str, NDArray[np.float16]] = OrderedDict()
        self.lock = threading.Lock()

    def get(self, texts: Sequence[str]) -> dict[str, Vector]:
        with self.lock:
            return {text: self.kept[text].astype(np.float32) for text in texts if text in self.kept}

    def add(self, vectors: Mapping[str, Vector]) -> None:
        with self.lock:
            for text, vector in vectors.items():
                self.kept[text] = vector.astype(np.float16)
            while len(self.kept) > self.size:
                self.kept.popitem(last=False)


def words_only(text: str) -> str:
    """A unit as the embedding model should read it: without code marks and layout."""
    return plain(re.sub(r"^```.*$|^\s*(?:[-*+]|\d+[.)])\s+|\|", " ", text, flags=re.MULTILINE))[:600]
