"""The measured decision: readable weights, a fit that learns, features that say what they should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync

from assistant.support import answerability, fitting, scenario
from assistant.widget.models import Site

CASES = Path(scenario.__file__).parent / "training" / "answerability.jsonl"


def measured(question: str, site: Site) -> dict[str, float]:
    return async_to_sync(scenario.gather)(question, list(site.collections.all())).features


def test_the_shipped_weights_are_those_of_the_features(site: Site) -> None:
    assert set(answerability.model().weights) == set(measured("password length", site))


def test_a_question_of_the_manual_is_likelier_than_one_beside_it(site: Site) -> None:
    inside = measured("What is the minimum length of a password?", site)
    outside = measured("Who is the manager of the football team?", site)
    assert inside["covered"] > outside["covered"]
    assert inside["missing"] == 0.0 < outside["missing"]
    model = answerability.model()
    assert answerability.probability(inside, model) > answerability.probability(outside, model)


def test_words_count_the_more_the_larger_the_collection(site: Site) -> None:
    evidence = async_to_sync(scenario.gather)("football password", list(site.collections.all()))
    sizes = [
        answerability.features("football password", evidence.found, evidence.ranked, size)["missing"]
        for size in (10, 1000, 100_000)
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] < 0.1 < 0.8 < sizes[-1]


@pytest.mark.parametrize(
    ("question", "is_worldly"), [("Who sells the backup?", 1.0), ("How do backups work?", 0.0)]
)
def test_questions_about_the_world_are_told_apart(site: Site, question: str, is_worldly: float) -> None:
    assert measured(question, site)["worldly"] == is_worldly


def test_the_fit_separates_what_can_be_separated() -> None:
    cases = [
        fitting.Case(f"case {number}", {"signal": number / 20, "noise": (number * 7 % 5) / 5}, number >= 10)
        for number in range(20)
    ]
    fit = fitting.fit(cases, l2=0.1)
    assert fit.kept >= 0.9
    assert fit.admitted >= 0.9
    assert fit.model.weights["signal"] > abs(fit.model.weights["noise"])


def test_the_training_cases_hold_both_kinds_in_both_languages() -> None:
    cases = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    kinds = {(case["locale"], case["turns"][0]["expect"]["refuses"]) for case in cases}
    assert kinds == {("en", True), ("en", False), ("zh-hans", True), ("zh-hans", False)}
    assert len({case["id"] for case in cases}) == len(cases) >= 100
