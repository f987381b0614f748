"""A question becomes a quotation, a prompt and a checker; or an honest refusal; or fixed words."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync

from assistant.conversations.scenarios import Prepared, TurnContext
from assistant.knowledge import services
from assistant.safety import policies
from assistant.safety.rules import default_rules
from assistant.support import answerability, prompts
from assistant.support.scenario import Support
from assistant.widget.models import Site


def ask(
    site: Site, question: str, *, history: list[dict[str, str]] | None = None, locale: str = "en"
) -> Prepared:
    turn = TurnContext(
        site=site,
        conversation_id="c",
        principal_key="visitor:1",
        locale=locale,
        question=question,
        history=history or [],
        is_first_turn=not history,
        policy=policies.Effective(default_rules()),
    )
    return async_to_sync(Support().prepare)(turn)


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The decision itself, set by hand: the scripted embedder's cosines are not MiniLM's."""

    def decide(is_answerable: bool) -> None:
        monkeypatch.setattr(answerability, "probability", lambda features, model: float(is_answerable))

    return decide


def test_the_answer_opens_with_the_quotation_and_its_citation(site: Site, decided: Any) -> None:
    decided(True)
    prepared = ask(site, "What is the minimum length of a password?")
    assert prepared.refusal is None
    assert "[1]" in prepared.lead
    assert "> Set `PASSWORD_MIN_LENGTH` in the settings file" in prepared.lead
    first = prepared.citations[0]
    assert (first.number, first.path, first.anchor) == (1, "manual.md", "passwords")
    assert first.url.startswith("/a/manual/manual.md?quote=")
    assert first.url.endswith("#passwords")
    assert prepared.is_shareable


def test_the_head_of_the_prompt_never_changes(site: Site, decided: Any) -> None:
    decided(True)
    heads = {ask(site, question).messages[0]["content"] for question in ("password length?", "怎么备份？")}
    assert heads == {prompts.SYSTEM}


def test_the_model_sees_the_passages_and_the_question(site: Site, decided: Any) -> None:
    decided(True)
    content = ask(site, "How do I make a backup?").messages[1]["content"]
    assert "shopctl backup" in content
    assert "How do I make a backup?" in content
    assert len(content) < 6000


def test_what_the_passages_do_not_hold_is_refused_with_the_offer_of_a_person(
    site: Site, decided: Any
) -> None:
    decided(False)
    prepared = ask(site, "Who won the cup?")
    assert "Ask a person" in (prepared.refusal or "")
    assert prepared.messages == []
    assert prepared.citations == []


def test_a_chinese_question_is_refused_in_chinese(site: Site, decided: Any) -> None:
    decided(False)
    assert "人工帮助" in (ask(site, "世界杯谁赢了？").refusal or "")


def test_a_chinese_question_finds_the_english_passage(site: Site, decided: Any) -> None:
    decided(True)
    prepared = ask(site, "密码的最小长度是多少？")
    assert prepared.citations[0].anchor == "passwords"
    assert "中文" in prepared.messages[1]["content"]


def test_greetings_are_answered_without_a_model_and_are_no_refusal(site: Site) -> None:
    prepared = ask(site, "Hello!")
    assert prepared.messages == []
    assert prepared.refusal is None
    assert "Shop" in prepared.lead


def test_a_follow_up_is_answered_in_its_context_and_not_shared(site: Site, decided: Any) -> None:
    decided(True)
    history = [
        {"role": "user", "content": "How do I make a backup?"},
        {"role": "assistant", "content": "So."},
    ]
    prepared = ask(site, "And who compresses it?", history=history)
    assert prepared.citations[0].anchor == "backups"
    assert "How do I make a backup?" in prepared.messages[1]["content"]
    assert not prepared.is_shareable


def test_a_site_without_knowledge_refuses(site: Site) -> None:
    site.collections.clear()
    assert ask(site, "What is the minimum length of a password?").refusal is not None


def test_starters_come_in_the_readers_language(site: Site) -> None:
    site.starters = {"en": ["How?"], "zh-hans": ["怎么？"]}
    assert Support().starters(site, "zh-hans") == ["怎么？"]
    assert Support().starters(site, "de") == ["How?"]


def test_the_knowledge_epoch_is_the_sites(site: Site) -> None:
    assert Support().knowledge_epoch(site) == services.epoch(site)
