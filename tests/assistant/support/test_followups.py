"""Follow-ups are understood by what was asked before; whole questions are left alone."""

from __future__ import annotations

import pytest

from assistant.support.followups import standalone

BEFORE = [
    {"role": "user", "content": "How do I upload a file?"},
    {"role": "assistant", "content": "Use the upload form."},
]


@pytest.mark.parametrize(
    "question",
    [
        "And how big can it be?",
        "What about pictures?",
        "Why?",
        "Can I undo that?",
        "那最大是多少？",
        "视频呢？",
    ],
)
def test_a_follow_up_gets_its_subject(question: str) -> None:
    assert standalone(question, BEFORE) == f"How do I upload a file? {question}"


def test_a_whole_question_stands_alone() -> None:
    question = "How do I change the time zone of the scheduler?"
    assert standalone(question, BEFORE) == question


def test_a_first_question_stands_alone() -> None:
    assert standalone("And that?", []) == "And that?"


def test_a_chain_of_follow_ups_goes_back_to_its_subject() -> None:
    history = [*BEFORE, {"role": "user", "content": "And how big can it be?"}]
    assert standalone("Why?", history) == "How do I upload a file? And how big can it be? Why?"
