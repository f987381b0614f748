from __future__ import annotations

from typing import Any

import pytest

from assistant.response_cache.keys import branch_of, cache_key, normalise
from tests.assistant.response_cache.conftest import question


@pytest.mark.parametrize(
    "spelling",
    [
        "how do i start it",
        "  HOW do I   start it ??",
        "How do I start it？",
        "Ｈow do I start it...",
        "How do\nI start it!",
    ],
)
def test_spellings_of_one_question_share_a_key(spelling: str) -> None:
    assert cache_key(question(spelling)) == cache_key(question("How do I start it?"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("enable 2FA", "disable 2FA"),
        ("Is it 1.5?", "Is it 15?"),
        ("what is C", "what is C++"),
        ("怎么打开通知？", "怎么关闭通知？"),
        ("set x = -1", "set x = 1"),
    ],
)
def test_questions_that_differ_in_meaning_differ_in_key(one: str, other: str) -> None:
    assert cache_key(question(one)) != cache_key(question(other))


@pytest.mark.parametrize(
    "change",
    [
        {"site_id": 2},
        {"scenario": "tutoring"},
        {"locale": "zh-hans"},
        {"model": "other"},
        {"quantization": "bf16"},
        {"prompt_version": "p2"},
        {"knowledge_epoch": 4},
        {"policy_version": 3},
        {"sampling": {"temperature": 0.5}},
        {"user_scope": "visitor:1"},
        {"branch": "b"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_everything_that_shaped_an_answer_is_in_the_key(change: dict[str, Any]) -> None:
    assert cache_key(question(**change)) != cache_key(question())


def test_a_personal_question_is_not_shared() -> None:
    assert not question("Is [EMAIL_1] registered?").is_cacheable
    assert question("Is [EMAIL_1] registered?", user_scope="user:1").is_cacheable


def test_a_later_question_is_kept_only_with_what_was_said_before() -> None:
    assert not question(is_first_turn=False).is_cacheable
    assert not question(is_first_turn=False, user_scope="user:1").is_cacheable
    branch = branch_of([{"role": "user", "content": "hello"}])
    assert question(is_first_turn=False, user_scope="user:1", branch=branch).is_cacheable


def test_a_question_of_marks_only_stays_itself() -> None:
    assert normalise(" ?! ") == ""
    assert cache_key(question("?")) == cache_key(question("!"))
