"""Asking, in the widget and on the page: an answer streams, survives, and can be stopped or redone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from assistant.accounts.models import Visitor
from assistant.conversations.models import Message
from assistant.widget.models import Site
from tests.browser.screen import LONG, Screen, in_widget, open_page, rule
from tests.support.browser import complaints_of
from tests.support.scripted_engine import ScriptedEngine
from tests.support.web import WebServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_widget_streams_an_answer_with_its_sources(widget: Screen, engine: ScriptedEngine) -> None:
    engine.rules = [rule("start", LONG + " That is all [1].", rate=100)]
    answer = widget.ask("How do I start?")
    widget.wait_for_text(answer, "sentence number 2")
    assert "number 40" not in widget.text_of(answer)  # it is shown while it is still being made
    widget.wait_for(answer)
    assert widget.text_of(answer).startswith("This is sentence number 1 of the answer. This is sentence")
    expect(answer.locator(".sources a").first).to_contain_text("Getting started")


def test_a_reload_in_mid_answer_loses_nothing(widget: Screen, engine: ScriptedEngine) -> None:
    engine.rules = [rule("start", LONG, rate=100)]
    widget.wait_for_text(widget.ask("How do I start?"), "number 3 ")
    widget.page.reload()
    again = in_widget(widget.page)
    assert again.answers.first.get_attribute("data-state") == "streaming"
    again.wait_for(again.answers.first)
    assert again.text_of(again.answers.first) == LONG


def test_two_reloads_of_the_chat_page_lose_nothing(chat: Screen, engine: ScriptedEngine) -> None:
    engine.rules = [rule("start", LONG, rate=100)]
    chat.wait_for_text(chat.ask("How do I start?"), "number 3 ")
    for mark in ("number 8 ", "number 14 "):
        chat.page.reload()
        chat.wait_for_text(chat.answers.first, mark)
    chat.wait_for(chat.answers.first)
    assert chat.text_of(chat.answers.first) == LONG


def test_stop_keeps_what_was_said(chat: Screen, engine: ScriptedEngine) -> None:
    engine.rules = [rule("start", LONG, rate=40)]
    answer = chat.ask("How do I start?")
    chat.wait_for_text(answer, "number 2 ")
    chat.button("Stop answering").click()
    chat.wait_for(answer, "stopped")
    assert "number 40" not in chat.text_of(answer)
    expect(answer).to_contain_text("Stopped.")
    expect(chat.button("Send")).to_be_attached()


def test_escape_stops_too(chat: Screen, engine: ScriptedEngine) -> None:
    engine.rules = [rule("start", LONG, rate=40)]
    answer = chat.ask("How do I start?")
    chat.wait_for_text(answer, "number 2 ")
    chat.page.keyboard.press("Escape")
    chat.wait_for(answer, "stopped")


def test_answering_again_keeps_both_answers(chat: Screen, engine: ScriptedEngine) -> None:
    engine.rules = [rule("start", "The first answer.")]
    answer = chat.ask_and_wait("How do I start?")
    engine.rules = [rule("start", "The second answer.")]
    chat.button("Answer again").click()
    chat.wait_for_text(chat.answers.first, "The second answer.")
    expect(answer.locator(".branches")).to_contain_text("2/2")
    chat.button("Previous version").click()
    chat.wait_for_text(chat.answers.first, "The first answer.")
    chat.page.reload()
    chat.wait_for_text(chat.answers.first, "The first answer.")  # the choice is kept


def test_an_edited_question_is_asked_beside_the_old_one(chat: Screen, engine: ScriptedEngine) -> None:
    engine.rules = [rule("apples", "About apples."), rule("pears", "About pears.")]
    chat.ask_and_wait("What about apples?")
    chat.questions.first.hover()
    chat.button("Edit and ask again").click()
    chat.root.get_by_label("Edit your question").fill("What about pears?")
    chat.page.keyboard.press("Enter")
    chat.wait_for_text(chat.answers.first, "About pears.")
    expect(chat.questions).to_have_count(1)
    chat.questions.first.hover()
    chat.button("Previous version").click()
    chat.wait_for_text(chat.answers.first, "About apples.")


def test_a_second_tab_shows_the_same_while_it_streams(
    chat: Screen, engine: ScriptedEngine, web: WebServer
) -> None:
    engine.rules = [rule("start", LONG, rate=100)]
    chat.wait_for_text(chat.ask("How do I start?"), "number 2 ")
    other = open_page(chat.page.context.new_page(), chat.page.url)
    for screen in (chat, other):
        screen.wait_for(screen.answers.first)
        assert screen.text_of(screen.answers.first) == LONG


def test_a_dead_engine_is_told_and_a_retry_answers(chat: Screen, engine: ScriptedEngine) -> None:
    engine.rules = [rule("start", LONG, rate=40)]
    answer = chat.ask("How do I start?")
    chat.wait_for_text(answer, "number 2 ")
    engine.kill()
    chat.wait_for(answer, "interrupted")
    assert "number 2 " in chat.text_of(answer)  # what was said stays
    engine.start()
    engine.rules = [rule("start", "Here it is.")]
    chat.button("Try again").click()
    chat.wait_for_text(chat.answers.first, "Here it is.")
    chat.wait_for(chat.answers.first)


def test_a_dead_web_process_is_told_and_the_answer_goes_on(
    chat: Screen, engine: ScriptedEngine, web: WebServer
) -> None:
    engine.rules = [rule("start", LONG, rate=60)]
    answer = chat.ask("How do I start?")
    chat.wait_for_text(answer, "number 2 ")
    web.kill()
    expect(chat.root.locator(".banner")).to_contain_text("Reconnecting")
    web.start()
    chat.wait_for(answer)
    assert chat.text_of(answer) == LONG
    expect(chat.root.locator(".banner")).to_be_hidden()


def test_a_question_asked_offline_is_sent_once_back(chat: Screen, engine: ScriptedEngine) -> None:
    engine.rules = [rule("start", "Welcome back.")]
    chat.page.context.set_offline(True)
    chat.page.evaluate("dispatchEvent(new Event('offline'))")
    answer = chat.ask("How do I start?")
    expect(chat.root.locator(".banner")).to_contain_text("offline")
    chat.page.context.set_offline(False)
    chat.wait_for(answer)
    assert Message.objects.filter(role="user").count() == 1


def test_the_address_of_nobodys_conversation_begins_a_new_one(
    page: Page, web: WebServer, site: Site, engine: ScriptedEngine
) -> None:
    chat = open_page(page, f"{web.url}/chat/11111111-1111-4111-8111-111111111111/")
    assert "word20" in chat.text_of(chat.ask_and_wait("How do I start?"))


def test_a_browser_that_the_server_has_forgotten_starts_over(widget: Screen, engine: ScriptedEngine) -> None:
    widget.ask_and_wait("How do I start?")
    Visitor.objects.all().delete()
    widget.page.reload()
    again = in_widget(widget.page)
    expect(again.questions).to_have_count(0)
    again.ask_and_wait("How do I start?")


def test_thumbs_and_their_reason_are_kept(chat: Screen, engine: ScriptedEngine) -> None:
    chat.ask_and_wait("How do I start?")
    chat.button("Bad answer").click()
    chat.root.get_by_label("Wrong source").check()
    chat.root.get_by_label("Tell us more").fill("it is the old page")
    chat.button("Send feedback").click()
    expect(chat.button("Bad answer")).to_have_attribute("aria-pressed", "true")
    expect(chat.root.get_by_role("status").last).to_contain_text("Thank you")
    message = Message.objects.get(role="assistant")
    assert (message.feedback, message.feedback_reason) == (-1, "Wrong source: it is the old page")


def test_a_citation_shows_its_quote_and_leads_to_the_place(chat: Screen, engine: ScriptedEngine) -> None:
    engine.rules = [rule("start", "Run two commands [1]. They fill the data folder [2].")]
    answer = chat.ask_and_wait("How do I start?")
    chip = answer.locator(".body a.cite").first
    expect(chip).to_have_attribute(
        "href", chat.page.evaluate("location.origin") + "/a/handbook/start.md#two-commands"
    )
    expect(chip).to_have_attribute("target", "_blank")
    chip.hover()
    expect(chat.root.get_by_role("tooltip")).to_contain_text("Two commands start everything.")


def test_the_second_asker_reads_from_the_receipt_that_it_was_asked_before(
    chat: Screen, engine: ScriptedEngine, web: WebServer
) -> None:
    chat.ask_and_wait("How do I start?")
    stranger = chat.page.context.browser.new_context(locale="en-GB")
    other = open_page(stranger.new_page(), f"{web.url}/chat/")
    answer = other.ask_and_wait("how do I start?")
    answer.locator(".receipt").click()
    expect(other.root.locator('[role="dialog"] dl')).to_have_attribute("data-tier", "exact")
    stranger.close()


def test_an_unanswered_question_leads_to_a_person(chat: Screen, engine: ScriptedEngine) -> None:
    answer = chat.ask_and_wait("Something unknown")
    chat.button("Talk to a person", answer).click()
    chat.root.get_by_label("E-mail address").fill("ann@example.com")
    chat.button("Send the conversation").click()
    expect(chat.root.get_by_role("dialog")).to_contain_text("Someone will write to ann@example.com")


def test_nothing_complains_in_the_console(
    page: Page, web: WebServer, site: Site, engine: ScriptedEngine
) -> None:
    complaints = complaints_of(page)
    engine.rules = [
        rule(
            "start",
            "Maths $e^2$ and `code`:\n\n```python\nprint(1)\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
        )
    ]
    chat = open_page(page, f"{web.url}/chat/")
    answer = chat.ask_and_wait("How do I start?")
    expect(answer.locator("math")).to_be_attached()
    expect(answer.locator(".hljs-built_in")).to_be_attached()
    expect(answer.locator(".table-frame td")).to_have_count(2)
    assert complaints == []
