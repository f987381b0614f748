"""Do the passages hold the answer? A logistic model over what retrieval and the best quotation measured.

The language model's own word on what it knows is worth little, in both directions. The weights are in
answerability.json, fitted by `manage.py fit_answerability` on cases that are not the judged ones.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from assistant.knowledge.models import Passage
from assistant.knowledge.queries import Query, rarity, synonyms
from assistant.knowledge.search import Found
from assistant.knowledge.terms import stem, stems
from assistant.support.quotation import Scored

WEIGHTS = Path(__file__).with_name("answerability.json")
NUM_PASSAGES = 3
# What people ask and manuals rarely tell: money, people, places, dates. Their words occur everywhere in
# other senses ("the cost of a query"), so the quotation itself must hold them.
WORLDLY = re.compile(
    r"\b(price|pricing|cost|costs|fee|fees|salary|pay|paid|buy|sell|refund|discount|revenue|invoice|phone"
    r"|hotline|call|office|headquarters?|ceo|founder|boss|employees?|staff|company|weather|who|where is"
    r"|when will|certificate)\b"
    r"|价格|收费|费用|多少钱|电话|公司|员工|老板|办公室|地址在|天气|股票|什么时候发布|谁",
    re.IGNORECASE,
)


# So many passages say as much about a word as general English does.
SMALL_COLLECTION = 3000


@dataclass(frozen=True)
class Model:
    """p = sigmoid(bias + Σ weight · feature); answerable from `threshold` on."""

    bias: float
    weights: dict[str, float]
    threshold: float


@lru_cache(maxsize=1)
def model() -> Model:
    data: dict[str, Any] = json.loads(WEIGHTS.read_text())
    return Model(data["bias"], data["weights"], data["threshold"])


def probability(features: Mapping[str, float], fitted: Model) -> float:
    total = fitted.bias + sum(weight * features[name] for name, weight in fitted.weights.items())
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))


def word_weights(query: Query, num_passages: int) -> dict[str, float]:
    """Stem → how much an asked word tells, 0..1.

    In a large collection a word tells the more the fewer passages hold it. In a small one nearly every word
    is rare, so there it counts how rare the word is in English at large.
    """
    trust = trust_in_words(num_passages)
    found: dict[str, float] = {}
    for term in query.terms:
        here = math.log(1 + num_passages / (1 + query.counts.get(term, 0))) / math.log(2 + num_passages)
        for part in term.split():
            weight = trust * here + (1 - trust) * rarity(part)
            found[stem(part)] = max(found.get(stem(part), 0.0), weight)
    return found


def features(question: str, found: Found, ranked: Sequence[Scored], num_passages: int) -> dict[str, float]:
    """Every feature is about 0..1, so that the weights can be read.

    What is said by words counts as far as the collection is large: a manual of a few pages says each thing
    once, seldom in the reader's words, and then only the meaning can tell.
    """
    weights = word_weights(found.query, num_passages)
    trust = trust_in_words(num_passages)
    texts = [f"{hit.passage.headings} {hit.passage.text}" for hit in found.hits[:NUM_PASSAGES]]
    related = related_stems(found.query)
    sentences = (covered(entry.unit.text, weights, related) for entry in ranked)
    return {
        "vector_margin": margin([hit.vector_score for hit in found.hits]),
        "sentence": max((entry.meaning for entry in ranked), default=0.0),
        "sentence_covered": trust * max(sentences, default=0.0),
        "covered": trust * max((covered(text, weights, related) for text in texts), default=0.0),
        "covered_together": trust * covered(" ".join(texts), weights, related),
        "missing": trust * max_missing(" ".join(texts), weights, related),
        "worldly": worldly(question, ranked),
    }


def trust_in_words(num_passages: int) -> float:
    return num_passages / (num_passages + SMALL_COLLECTION)


def covered(text: str, weights: Mapping[str, float], related: Mapping[str, set[str]]) -> float:
    """Share of the asked words, by weight, that the text holds; a synonym counts three quarters."""
    held = stems(text)
    total = sum(weights.values())
    got = sum(weight * credit(word, held, related) for word, weight in weights.items())
    return got / total if total else 0.0


def credit(word: str, held: set[str], related: Mapping[str, set[str]]) -> float:
    if word in held:
        return 1.0
    return 0.75 if related.get(word, set()) & held else 0.0


def max_missing(text: str, weights: Mapping[str, float], related: Mapping[str, set[str]]) -> float:
    """Weight of the most telling asked word that no passage on the table holds."""
    held = stems(text)
    return max((weight for word, weight in weights.items() if not credit(word, held, related)), default=0.0)


def related_stems(query: Query) -> dict[str, set[str]]:
    table = synonyms()
    return {
        stem(part): {stem(word) for other in table.get(term, ()) for word in other.split()}
        for term in query.terms
        for part in term.split()
    }


def worldly(question: str, ranked: Sequence[Scored]) -> float:
    """1 when the question is about the world behind the manual and the best sentence is not."""
    asked = {found.group(0).lower() for found in WORLDLY.finditer(question)}
    return float(bool(asked) and not (ranked and asked & set(ranked[0].unit.text.lower().split())))


def margin(scores: Sequence[float]) -> float:
    """How far the best stands above the rest: a question that fits everywhere fits nowhere."""
    return max(scores) - sum(scores) / len(scores) if scores else 0.0


def num_passages() -> int:
    return Passage.objects.count()
