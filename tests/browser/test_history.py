"""The list of one's own conversations beside the chat page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from assistant.conversations.models import Conversation
from tests.browser.screen import Screen, open_page, rule
from tests.support.people import PASSWORD, make_user
from tests.support.scripted_engine import ScriptedEngine
from tests.support.web import WebServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def two(chat: Screen, engine: ScriptedEngine) -> Screen:
    """The chat page after a talk about apples and one about pears, each with a title of one word."""
    engine.rules = [rule("apples", "Apples are red."), rule("pears", "Pears are green.")]
    for fruit in ("apples", "pears"):
        chat.ask_and_wait(f"Tell me of {fruit}")
        Conversation.objects.filter(title__contains=fruit).update(title=fruit.title())
        chat.button("New chat").first.click()
        expect(chat.answers).to_have_count(0)
    chat.page.reload()
    expect(links(chat)).to_have_count(2)
    return chat


def links(chat: Screen) -> Locator:
    return chat.page.locator(".history-list li a")


def options(chat: Screen, title: str) -> None:
    links(chat).filter(has_text=title).hover()
    chat.button(f"Options for {title}").click()


def test_a_conversation_opens_again_with_its_own_address(two: Screen) -> None:
    links(two).filter(has_text="Apples").click()
    two.wait_for_text(two.answers.first, "Apples are red.")
    conversation = Conversation.objects.get(title="Apples")
    assert two.page.url.endswith(f"/chat/{conversation.pk}/")
    expect(links(two).filter(has_text="Apples")).to_have_attribute("aria-current", "page")
    two.page.go_back()
    expect(two.answers).to_have_count(0)


def test_search_looks_into_the_texts(two: Screen) -> None:
    two.page.keyboard.press("Control+k")
    two.page.keyboard.type("green")
    expect(links(two)).to_have_text(["Pears"])
    two.page.get_by_label("Search conversations").fill("bananas")
    expect(two.page.locator(".history-list")).to_contain_text("No conversation matches.")


def test_rename_and_delete(two: Screen) -> None:
    options(two, "Apples")
    two.page.get_by_role("textbox", name="Rename").fill("Fruit")
    two.page.keyboard.press("Enter")
    expect(links(two).filter(has_text="Fruit")).to_have_count(1)
    options(two, "Fruit")
    two.button("Delete").click()
    two.button("Delete this conversation for good?").click()
    expect(links(two)).to_have_text(["Pears"])
    assert list(Conversation.objects.values_list("title", flat=True)) == ["Pears"]


def test_export_downloads_the_words(two: Screen, tmp_path: Path) -> None:
    options(two, "Apples")
    with two.page.expect_download() as waiting:
        two.button("Export (Markdown)").click()
    assert "Apples are red." in Path(waiting.value.path()).read_text()
    options(two, "Apples")
    with two.page.expect_download() as waiting:
        two.button("Export (JSON)").click()
    assert "Apples are red." in json.dumps(json.loads(Path(waiting.value.path()).read_text()))


def test_a_visitors_conversations_go_along_at_sign_in(two: Screen, web: WebServer) -> None:
    make_user("ann@example.com")
    two.page.goto(f"{web.url}/accounts/login/?next=/chat/")
    two.page.locator("input[name=login]").fill("ann@example.com")
    two.page.locator("input[name=password]").fill(PASSWORD)
    two.page.locator("input[name=password]").press("Enter")
    two.page.wait_for_url("**/chat/")
    expect(links(two)).to_have_count(2)
    assert set(Conversation.objects.values_list("user__email", flat=True)) == {"ann@example.com"}
    other = open_page(two.page, f"{web.url}/chat/")
    links(other).filter(has_text="Pears").click()
    other.wait_for_text(other.answers.first, "Pears are green.")
