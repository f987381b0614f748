"""Fixed words for what is no question; a question with a greeting in it stays a question."""

from __future__ import annotations

import pytest

from assistant.support.intents import small_talk
from assistant.support.replies import language_of, reply, texts


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Hi!", "greeting"),
        ("good morning everyone", "greeting"),
        ("你好", "greeting"),
        ("Thanks a lot!", "thanks"),
        ("ok, thank you for your help", "thanks"),
        ("谢谢你的帮助！", "thanks"),
        ("bye", "goodbye"),
        ("How are you?", "well"),
        ("Who are you?", "about"),
        ("are you a real person?", "about"),
        ("你是谁？", "about"),
        ("I want to talk to a human", "person"),
        ("转人工", "person"),
        ("???", "unclear"),
    ],
)
def test_small_talk_is_recognised(text: str, name: str) -> None:
    assert small_talk(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "Hi, how do I reset my password?",
        "Thanks, and where is the log file?",
        "What can you do with a QuerySet?",
        "Who are the maintainers of the parser?",
        "How do I talk to a human agent queue through the API?",
        "你好，怎么部署？",
        "logging",
    ],
)
def test_questions_are_not_small_talk(text: str) -> None:
    assert small_talk(text) is None


def test_every_reply_exists_in_both_languages() -> None:
    assert set(texts()["en"]) == set(texts()["zh-hans"])


@pytest.mark.parametrize(
    ("question", "locale", "language"),
    [
        ("How do I install it?", "zh-hans", "en"),
        ("怎么安装 Redis？", "en", "zh-hans"),
        ("HTTP 500?", "zh-hans", "zh-hans"),
        ("HTTP 500?", "en", "en"),
    ],
)
def test_the_questions_language_counts_before_the_readers(question: str, locale: str, language: str) -> None:
    assert language_of(question, locale=locale) == language


def test_a_reply_names_the_site() -> None:
    assert "Acme" in reply("greeting", language="en", site="Acme")
