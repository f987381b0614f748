"""The main job, end to end: the real model answers real questions in the embedded widget, with sources."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.screen import Screen, in_widget, open_widget
from tests.support.parley import Parley

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.timeout(600)]

ANSWER_MS = 90_000
# A question of the demo site, and words of which a right answer holds at least one.
QUESTIONS = [
    ("How do I start Parley?", ["make run"]),
    ("Which database does Parley use by default?", ["SQLite"]),
    ("How do I put the widget on my own site?", ["widget.js", "parley-chat"]),
]
LONG_QUESTION = "Explain in detail what happens to a question from the widget to the answer."


@pytest.fixture(scope="module")
def parley() -> Iterator[Parley]:
    with Parley() as running:
        yield running


def widget_of(page: Page, parley: Parley) -> Screen:
    return open_widget(page, f"{parley.url}/demo/")


def wait_for_end(answer: Locator, state: str = "complete") -> None:
    expect(answer).to_have_attribute("data-state", state, timeout=ANSWER_MS)


def watch_growth(chat: Screen) -> None:
    """Remember every length that the answer has had on the screen."""
    chat.page.frames[1].evaluate(
        """() => {
            window.lengths = new Set();
            const last = () => document.querySelector(".message.assistant:last-child .body");
            const look = () => lengths.add(last()?.innerText.length ?? 0);
            const everything = { childList: true, subtree: true, characterData: true };
            new MutationObserver(look).observe(document.querySelector(".messages"), everything);
        }"""
    )


@pytest.mark.parametrize(("question", "words"), QUESTIONS)
def test_a_question_gets_a_right_cited_and_streamed_answer(
    page: Page, parley: Parley, question: str, words: list[str]
) -> None:
    chat = widget_of(page, parley)
    watch_growth(chat)
    answer = chat.ask(question)
    wait_for_end(answer)
    text = chat.text_of(answer)
    assert any(word.lower() in text.lower() for word in words), text
    assert len(page.frames[1].evaluate("[...lengths]")) > 3  # it grew before one's eyes
    source = answer.locator(".sources a").first
    article = page.request.get(source.get_attribute("href") or "")
    assert article.ok, source.get_attribute("href")
    assert "<article" in article.text()


def test_the_second_asker_gets_the_cached_answer(browser: Browser, page: Page, parley: Parley) -> None:
    question = "Where does Parley keep its data?"
    first = widget_of(page, parley)
    answer = first.ask(question)
    wait_for_end(answer)
    context = browser.new_context(locale="en-GB")
    second = widget_of(context.new_page(), parley)
    again = second.ask(f" {question.lower()}")
    wait_for_end(again)
    assert second.text_of(again) == first.text_of(answer)
    again.locator(".receipt").click()
    expect(second.root.locator('[role="dialog"] dl')).to_have_attribute("data-tier", "exact")
    context.close()


def test_a_reload_in_mid_answer_loses_nothing(page: Page, parley: Parley) -> None:
    chat = widget_of(page, parley)
    answer = chat.ask(LONG_QUESTION)
    expect(answer.locator(".body")).not_to_be_empty(timeout=ANSWER_MS)
    begun = chat.text_of(answer)
    page.reload()
    again = in_widget(page)
    wait_for_end(again.answers.first)
    whole = again.text_of(again.answers.first)
    assert whole.startswith(begun[:20])
    page.reload()
    assert in_widget(page).text_of(again.answers.first) == whole  # what the database kept


def stop_in_mid_answer(chat: Screen, parley: Parley) -> Locator:
    """Freeze the engine between the first and the last word of an answer; returns the answer."""
    for question in (
        "Please tell me how to start Parley.",
        "How can I start Parley?",
        "Starting Parley: how?",
    ):
        answer = chat.ask(question)
        expect(answer).to_have_attribute("data-step", "generating", timeout=ANSWER_MS)
        parley.engine().suspend()
        chat.page.wait_for_timeout(1000)
        if answer.get_attribute("data-state") == "streaming":
            return answer
        parley.engine().resume()  # it was quicker than we
    raise AssertionError("every answer was complete before the engine could be stopped")


def test_an_engine_killed_in_mid_answer_is_told_and_a_retry_answers(page: Page, parley: Parley) -> None:
    chat = widget_of(page, parley)
    answer = stop_in_mid_answer(chat, parley)
    begun = chat.text_of(answer)
    parley.engine().kill()
    wait_for_end(answer, "interrupted")
    assert begun and chat.text_of(answer).startswith(begun)  # what was said stays
    parley.wait_until_ready()
    chat.button("Try again").click()
    wait_for_end(chat.answers.last)
    assert "make run" in chat.text_of(chat.answers.last)
