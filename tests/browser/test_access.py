"""A1: everything by keyboard, heard by a screen reader without chatter, and no serious finding by axe."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from assistant.widget.models import Site
from tests.browser.screen import LONG, Screen, open_page, open_widget, rule
from tests.support.scripted_engine import ScriptedEngine
from tests.support.web import WebServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

RICH = (
    "Run **two commands** [1]:\n\n```bash\nmake run\n```\n\n"
    "| Setting | Default |\n|---|---|\n| `PORT` | 8000 |\n\n"
    "> Quoted words [2].\n\nFormula $x^2$ and\n\n$$\\frac{a}{b}$$\n"
)


def serious(page: Page) -> list[Any]:
    """axe looks into frames and shadow roots as well."""
    found = Axe().run(page).response["violations"]
    return [
        (rule["id"], [node["target"] for node in rule["nodes"]])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/demo/", "/chat/", "/accounts/login/", "/accounts/signup/"])
def test_axe_finds_nothing_serious_on_a_page(
    browser: Browser, web: WebServer, site: Site, path: str, scheme: Any
) -> None:
    context = browser.new_context(color_scheme=scheme, locale="en-GB")
    page = context.new_page()
    page.goto(web.url + path)
    page.wait_for_load_state("networkidle")
    assert serious(page) == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_a_conversation(
    browser: Browser, web: WebServer, site: Site, engine: ScriptedEngine, scheme: Any
) -> None:
    context = browser.new_context(color_scheme=scheme, locale="en-GB")
    engine.rules = [rule("start", RICH), rule("long", LONG, rate=60)]
    chat = open_widget(context.new_page(), f"{web.url}/demo/")
    answer = chat.ask_and_wait("How do I start?")
    expect(answer.locator("math")).to_have_count(2)
    assert serious(chat.page) == []
    answer.locator(".receipt").click()
    assert serious(chat.page) == []
    chat.button("Bad answer").click()
    expect(chat.root.locator(".reasons")).to_be_visible()
    assert serious(chat.page) == []
    chat.page.keyboard.press("Escape")
    chat.button("Talk to a person").first.click()
    expect(chat.root.get_by_role("dialog")).to_be_visible()
    assert serious(chat.page) == []
    chat.page.keyboard.press("Escape")
    chat.wait_for_text(chat.ask("And the long way?"), "number 2 ")
    assert serious(chat.page) == []
    context.close()


def test_the_whole_chat_works_by_keyboard_alone(
    page: Page, web: WebServer, site: Site, engine: ScriptedEngine
) -> None:
    engine.rules = [rule("start", "Run two commands [1].")]
    page.goto(f"{web.url}/demo/")
    launcher = page.locator("parley-chat .launcher")
    expect(launcher).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.localName") == "parley-chat":
            break
    page.keyboard.press("Enter")
    chat = Screen(page, page.frame_locator("parley-chat iframe"))
    expect(chat.field).to_be_focused()
    page.keyboard.type("How do I start?")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("Please.")
    page.keyboard.press("Enter")
    expect(chat.questions.first).to_contain_text("How do I start?\nPlease.")
    chat.wait_for(chat.answers.first)
    page.keyboard.press("Shift+Tab")  # backwards out of the field: the last thing of the answer
    expect(chat.root.locator(".receipt")).to_be_focused()
    page.keyboard.press("Enter")
    expect(chat.root.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(chat.root.locator(".receipt")).to_be_focused()
    page.keyboard.press("/")
    expect(chat.field).to_be_focused()
    page.keyboard.press("Escape")
    expect(launcher).to_be_focused()
    expect(launcher).to_have_attribute("aria-expanded", "false")


def test_a_screen_reader_hears_whole_sentences_and_the_end(chat: Screen, engine: ScriptedEngine) -> None:
    engine.rules = [rule("start", LONG, rate=80)]
    chat.page.evaluate(
        """() => {
            window.heard = [];
            const region = document.querySelector(".chat > [role=status][aria-live]");
            new MutationObserver(() => heard.push(region.textContent)).observe(region, { childList: true });
        }"""
    )
    chat.ask_and_wait("How do I start?")
    heard = chat.page.evaluate("heard")
    said = [text for text in heard if "sentence" in text]
    assert heard[0] == "Sending…"
    assert 1 <= len(said) <= 5  # not token by token
    assert all(text.startswith("This is") and ("." in text[-2:] or "complete" in text) for text in said)
    assert heard[-1].endswith("Answer complete.")
    assert " ".join(said).replace(" Answer complete.", "") == LONG
    assert chat.root.get_by_role("log").get_attribute("aria-live") == "off"


def test_motion_stops_when_it_is_not_wanted(
    browser: Browser, web: WebServer, site: Site, engine: ScriptedEngine
) -> None:
    context = browser.new_context(reduced_motion="reduce")
    chat = open_page(context.new_page(), f"{web.url}/chat/")
    chat.ask_and_wait("How do I start?")
    # What is cut to nothing may still count as running for one frame; what is not cut never ends.
    none_runs = "document.getAnimations().every((animation) => animation.playState !== 'running')"
    chat.page.wait_for_function(none_runs, timeout=5000)
    context.close()


def test_forced_colours_keep_the_buttons_visible(
    browser: Browser, web: WebServer, site: Site, engine: ScriptedEngine
) -> None:
    context = browser.new_context(forced_colors="active")
    chat = open_page(context.new_page(), f"{web.url}/chat/")
    width = chat.page.locator(".send").evaluate("(button) => getComputedStyle(button).borderTopWidth")
    assert width == "1px"
    context.close()
