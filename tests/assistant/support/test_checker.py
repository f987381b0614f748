"""No sentence with a number, an identifier or a name of its own reaches the reader."""

from __future__ import annotations

import pytest

from assistant.support.checker import SupportChecker

PASSAGE = (
    "Set `PASSWORD_MIN_LENGTH` to change the minimum length of a password. The default is 8. Ask Valkey."
)


@pytest.fixture
def checker() -> SupportChecker:
    return SupportChecker(passages=PASSAGE, question="Can my password have 6 letters?", quoted=PASSAGE)


@pytest.mark.parametrize(
    "sentence",
    [
        "The setting `PASSWORD_MIN_LENGTH` changes the minimum length.",
        "With 6 letters it is shorter than the default of 8. [1]",
        "You can change it with PASSWORD_MIN_LENGTH, and Valkey keeps it.",
        "把 `PASSWORD_MIN_LENGTH` 设为 6 即可。",
    ],
)
def test_supported_sentences_pass(checker: SupportChecker, sentence: str) -> None:
    assert checker.check(sentence) is None


@pytest.mark.parametrize(
    "sentence",
    [
        "The default minimum length of a password is 12.",
        "Change the password length with `PASSWORD_MAX_LENGTH`.",
        "Change the minimum length with settings.min_len today.",
        "Pass --min-length to the command to change the password length.",
        "The minimum length is kept by Memcached for each password.",
        "I don't know the minimum length of the password.",
        "The passages do not mention the minimum length.",
        "To change the minimum length of a password, do this:",
        "No.",
        "Bananas grow tropical climates because sunshine nourishes plantations.",
        "我不知道最短长度。",
    ],
)
def test_unsupported_sentences_are_dropped(checker: SupportChecker, sentence: str) -> None:
    finding = checker.check(sentence)
    assert finding is not None
    assert finding.action == "drop"


def test_a_finding_does_not_repeat_the_text(checker: SupportChecker) -> None:
    finding = checker.check("Your code is `hunter2_secret` for the password.")
    assert finding is not None
    assert "hunter2" not in finding.reason


def test_the_quotation_is_not_said_twice(checker: SupportChecker) -> None:
    assert checker.check("Set PASSWORD_MIN_LENGTH to change the minimum length of a password.") is not None
