"""The figures of a run. Shares are given with their counts; a figure nobody asked for is None.

accuracy            right turns of all that are scored
answerable_right    right ones of those that should be answered
citation_accuracy   turns that cite an expected article, of all that should
citation_accuracy_answered    the same among those that were answered
false_refusals      refused, though the answer is known
missed_refusals     answered, though it is not
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sacrebleu
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

from assistant.support.evaluation.cases import Ask, Case
from assistant.support.evaluation.driver import Answered
from assistant.support.evaluation.scoring import Score


@dataclass(frozen=True)
class Scored:
    case: Case
    ask: Ask
    answered: Answered
    score: Score


def figures(rows: list[Scored]) -> dict[str, Any]:
    scored = [row for row in rows if row.score.is_scored]
    answerable = [row for row in scored if not row.score.is_refusal_expected]
    unanswerable = [row for row in scored if row.score.is_refusal_expected]
    citing = [row for row in rows if row.score.cites_right is not None]
    answered = [row for row in citing if not row.score.is_refused]
    return {
        "num_cases": len({row.case.id for row in rows}),
        "num_turns": len(rows),
        "num_unscored": len(rows) - len(scored),
        "accuracy": _share(row.score.is_right for row in scored),
        "answerable_right": _share(row.score.is_right for row in answerable),
        "citation_accuracy": _share(bool(row.score.cites_right) for row in citing),
        "citation_accuracy_answered": _share(bool(row.score.cites_right) for row in answered),
        "false_refusals": _share(row.score.is_refused for row in answerable),
        "missed_refusals": _share(not row.score.is_refused for row in unanswerable),
        "num_errors": sum(bool(row.answered.error) for row in rows),
        "failures": dict(Counter(row.score.kind for row in rows if row.score.kind)),
        "by_locale": {
            locale: _share(row.score.is_right for row in scored if row.case.locale == locale)
            for locale in sorted({row.case.locale for row in scored})
        },
        **_overlap(rows),
        "ttft_ms": _spread(row.answered.receipt.get("ttft_ms") for row in rows),
        "total_ms": _spread(row.answered.receipt.get("total_ms") for row in rows),
        "tokens_per_s": _spread(row.answered.receipt.get("tokens_per_s") for row in rows),
    }


def _share(values: Iterable[bool]) -> dict[str, Any] | None:
    known = list(values)
    if not known:
        return None
    return {"num": sum(known), "of": len(known), "share": round(sum(known) / len(known), 4)}


def _spread(values: Iterable[Any]) -> dict[str, float] | None:
    known = sorted(float(value) for value in values if value)
    if not known:
        return None
    p95 = known[min(len(known) - 1, int(len(known) * 0.95))]
    return {"p50": round(statistics.median(known), 1), "p95": round(p95, 1), "num": len(known)}


def _overlap(rows: list[Scored]) -> dict[str, Any]:
    """BLEU of the whole (sacrebleu; its own segmentation for Chinese) and mean ROUGE-L F, each with the
    best of several references."""
    pairs = [(row.answered.answer, row.ask.expect.references, row.case.locale) for row in rows]
    pairs = [pair for pair in pairs if pair[1]]
    if not pairs:
        return {"bleu": None, "rouge_l": None, "num_references": 0}
    is_chinese = all(locale.startswith("zh") for _, _, locale in pairs)
    width = max(len(references) for _, references, _ in pairs)
    columns = [[(refs * width)[index] for _, refs, _ in pairs] for index in range(width)]
    bleu = sacrebleu.corpus_bleu(
        [text for text, _, _ in pairs], columns, tokenize="zh" if is_chinese else "13a"
    )
    scorer = RougeScorer(["rougeL"], tokenizer=_Words())
    rouge = [scorer.score_multi(list(refs), text)["rougeL"].fmeasure for text, refs, _ in pairs]
    return {
        "bleu": round(bleu.score, 2),
        "rouge_l": round(statistics.mean(rouge), 4),
        "num_references": len(pairs),
    }


class _Words:
    """Words, and Chinese characters one by one: rouge_score's own tokenizer drops what is not ASCII."""

    def tokenize(self, text: str) -> list[str]:
        return TokenizerZh()(text.casefold()).split()
