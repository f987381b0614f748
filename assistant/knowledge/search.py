"""Hybrid search: full text and vectors, their scores fused, over the collections of one site.

Both halves see every candidate: a passage found by its words gets its vector score too and the other way
round, so the fusion compares like with like. Release notes mention everything and explain little; they
stand back unless the question is about versions. The weights were measured; see docs/log.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assistant.knowledge import fulltext, services, vectors
from assistant.knowledge.models import Collection, Passage
from assistant.knowledge.queries import Query, understand
from assistant.knowledge.terms import stems
from assistant.widget.models import Site
from inference.serving.client import EngineError

NUM_CANDIDATES = 60
MAX_FULLTEXT_ROWS = 300
MAX_PER_ARTICLE = 3

TEXT_WEIGHT = 0.35
RELATED_WEIGHT = 0.5
HEADING_WEIGHT = 0.2
HISTORY_PENALTY = 0.12

HISTORY = re.compile(
    r"(^|[/_-])(changelog|changes|release|releases|news|history|whatsnew|migration_\d+)s?\b", re.I
)
ABOUT_VERSIONS = re.compile(
    r"\b(version|release|changed|new in|upgrade|deprecat\w+|changelog)\b|\d\.\d|版本|更新|升级"
)

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Hit:
    """`score` orders; `text_score` is BM25 (0 when no word matched); `vector_score` a cosine."""

    passage: Passage
    score: float
    text_score: float
    vector_score: float


@dataclass(frozen=True)
class Found:
    """Hits with what was understood of the question; `vector` is None while the engine is away."""

    query: Query
    hits: list[Hit]
    vector: Scores | None


def search(query: str, *, site: Site, limit: int = 8, locale: str = "en") -> list[Hit]:
    """The best passages for a question, best first. Works by words alone while the engine is away."""
    return find(query, collections=services.collections_of(site), limit=limit).hits


def find(question: str, *, collections: Sequence[Collection], limit: int = 8) -> Found:
    """Understand, embed, search: for callers without an event loop."""
    query = understand(question)
    try:
        vector = vectors.embed([query.text])[0] if query.text else None
    except EngineError:
        vector = None
    return find_by(question, query, vector, collections=collections, limit=limit)


def find_by(
    question: str, query: Query, vector: Scores | None, *, collections: Sequence[Collection], limit: int = 8
) -> Found:
    """`vector`: the embedding of `query.text`, fp32 [384], or None to search by words alone."""
    if not collections:
        return Found(query, [], None)
    matrix = vectors.matrix_for(collections)
    similarities = (
        matrix.vectors @ vector if vector is not None else np.zeros(len(matrix.ids), dtype=np.float32)
    )
    text_scores = bm25(query, matrix)
    rows = candidates(text_scores, similarities)
    if not len(rows):
        return Found(query, [], vector)
    return Found(
        query, rank(question, query, matrix.ids[rows], text_scores[rows], similarities[rows], limit), vector
    )


def bm25(query: Query, matrix: vectors.Matrix) -> Scores:
    """fp32 [N]: BM25 of the asked terms plus a share of that of related ones."""
    scores = np.zeros(len(matrix.ids), dtype=np.float32)
    for terms, weight in ((query.terms, 1.0), (query.related, RELATED_WEIGHT)):
        found = fulltext.search(terms, limit=MAX_FULLTEXT_ROWS)
        rows = matrix.rows([pk for pk, _ in found])
        if len(found) == MAX_FULLTEXT_ROWS and (rows >= 0).sum() < NUM_CANDIDATES:
            # Other sites' collections fill the index: look further down for ours.
            found = fulltext.search(terms, limit=MAX_FULLTEXT_ROWS * 50)
            rows = matrix.rows([pk for pk, _ in found])
        for row, (_, score) in zip(rows, found, strict=True):
            if row >= 0:
                scores[row] += weight * score
    return scores


def candidates(text_scores: Scores, similarities: Scores) -> NDArray[np.int64]:
    """Rows that are among the best by words or by meaning."""
    if not len(text_scores):
        return np.zeros(0, dtype=np.int64)
    size = min(NUM_CANDIDATES, len(text_scores))
    by_text = np.argpartition(-text_scores, size - 1)[:size]
    by_vector = np.argpartition(-similarities, size - 1)[:size]
    rows = np.union1d(by_text[text_scores[by_text] > 0], by_vector[similarities[by_vector] > 0])
    return rows.astype(np.int64)


def rank(
    question: str,
    query: Query,
    ids: NDArray[np.int64],
    text_scores: Scores,
    similarities: Scores,
    limit: int,
) -> list[Hit]:
    fused = similarities + TEXT_WEIGHT * text_scores / max(float(text_scores.max()), 1e-6)
    best = np.argsort(-fused)[: limit * 5]
    passages = Passage.objects.select_related("article__collection").defer(
        "article__markdown", "embedding", "terms"
    )
    found = passages.in_bulk([int(ids[row]) for row in best])
    wanted = stems(" ".join([*query.terms, *query.related[:12]]))
    asks_version = bool(ABOUT_VERSIONS.search(question))
    hits = []
    for row in best:
        passage = found.get(int(ids[row]))
        if passage is None:
            continue
        score = float(fused[row]) + HEADING_WEIGHT * heading_match(passage.headings, wanted)
        if not asks_version and HISTORY.search(passage.article.path):
            score -= HISTORY_PENALTY
        hits.append(Hit(passage, score, float(text_scores[row]), float(similarities[row])))
    hits.sort(key=lambda hit: -hit.score)
    return spread(hits)[:limit]


def heading_match(headings: str, wanted: set[str]) -> float:
    """How much of the last two headings was asked for, 0..1."""
    named = stems(" ".join(headings.split(" › ")[-2:]))
    return len(named & wanted) / max(len(named), 2) if wanted else 0.0


def spread(hits: list[Hit]) -> list[Hit]:
    """At most MAX_PER_ARTICLE of one article in front; the rest follow."""
    counts: dict[int, int] = {}
    front: list[Hit] = []
    rest: list[Hit] = []
    for hit in hits:
        number = counts[hit.passage.article_id] = counts.get(hit.passage.article_id, 0) + 1
        (front if number <= MAX_PER_ARTICLE else rest).append(hit)
    return front + rest
