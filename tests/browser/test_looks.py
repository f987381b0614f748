"""Phone and desk, light and dark, English and Chinese, and any colour a site may choose."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from assistant.widget.models import Site
from tests.browser.screen import open_page, open_widget, rule
from tests.support.scripted_engine import ScriptedEngine
from tests.support.web import WebServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
WIDE_WORD = "https://handbook.example/" + "a-very-long-address-without-a-space/" * 6
# Contrast by WCAG of an element's text on its own or the nearest painted background.
CONTRAST = """(element) => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const light = (color) => {
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
        const linear = (v) => (v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((v) => linear(v / 255));
        return .2126 * r + .7152 * g + .0722 * b;
    };
    let back = element;
    const paint = () => getComputedStyle(back).backgroundColor;
    while (/, 0\\)|\\/ 0\\)|transparent/.test(paint())) back = back.parentElement;
    const both = [light(getComputedStyle(element).color), light(paint())];
    return (Math.max(...both) + .05) / (Math.min(...both) + .05);
}"""


def test_on_a_phone_the_widget_fills_the_screen_and_nothing_is_cut_off(
    browser: Browser, web: WebServer, site: Site, engine: ScriptedEngine
) -> None:
    context = browser.new_context(**PHONE, locale="en-GB")
    table = (
        "| " + " | ".join("abcdefgh") + " |\n|" + "---|" * 8 + "\n| " + " | ".join(["a long cell"] * 8) + " |"
    )
    engine.rules = [rule("start", f"See {WIDE_WORD}\n\n{table}\n\n```\n{'x' * 300}\n```\n")]
    chat = open_widget(context.new_page(), f"{web.url}/demo/")
    box = chat.page.locator("parley-chat iframe").bounding_box()
    assert box == {"x": 0, "y": 0, "width": 390, "height": 844}
    chat.ask_and_wait("How do I start?")
    frame = chat.page.frames[1]
    assert frame.evaluate("document.documentElement.scrollWidth") == 390
    assert frame.evaluate("document.querySelector('.scroller').scrollWidth") == 390
    assert frame.evaluate("document.querySelector('.table-frame').scrollWidth") > 390  # it scrolls by itself
    small = frame.evaluate(
        """[...document.querySelectorAll("button:not([hidden])")].filter((b) => b.checkVisibility()
            && !b.matches(".copy-code") && b.getBoundingClientRect().height < 36).map((b) => b.outerHTML)"""
    )
    assert small == []
    chat.button("Close the chat").click()
    expect(chat.page.locator("parley-chat iframe")).to_be_hidden()
    context.close()


def test_on_a_phone_the_history_is_a_drawer(browser: Browser, web: WebServer, site: Site) -> None:
    context = browser.new_context(**PHONE, locale="en-GB")
    chat = open_page(context.new_page(), f"{web.url}/chat/")
    drawer = chat.page.locator(".history")
    expect(drawer).not_to_be_in_viewport()
    chat.button("Show conversations").click()
    expect(drawer).to_be_in_viewport()
    chat.page.keyboard.press("Escape")
    expect(drawer).not_to_be_in_viewport()
    context.close()


def test_a_chinese_reader_gets_chinese_everywhere(
    browser: Browser, web: WebServer, site: Site, engine: ScriptedEngine
) -> None:
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.goto(f"{web.url}/demo/")
    launcher = page.locator("parley-chat .launcher")
    expect(launcher).to_have_accessible_name("打开聊天")
    launcher.click()
    frame = page.frame_locator("parley-chat iframe")
    expect(frame.locator(".greeting")).to_have_text("请问手册。")
    expect(frame.locator("html")).to_have_attribute("lang", "zh-Hans")
    engine.rules = [rule("开始", "运行两条命令 [1]。")]
    frame.get_by_role("button", name="怎样开始？").click()
    expect(frame.locator(".message.assistant")).to_have_attribute("data-state", "complete")
    expect(frame.locator(".sources")).to_contain_text("来源")
    labels = frame.locator("button[aria-label]").evaluate_all("(all) => all.map((b) => b.ariaLabel)")
    assert [label for label in labels if label.isascii()] == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("color", ["#ffe600", "#0b0b0b", "#e03131", "#9be9c8"])
def test_any_site_colour_stays_readable(
    browser: Browser, web: WebServer, site: Site, engine: ScriptedEngine, color: str, scheme: Any
) -> None:
    site.color = color
    site.save()
    context = browser.new_context(color_scheme=scheme, locale="en-GB")
    engine.rules = [rule("start", "Two commands [1] and [a link](/x).")]
    chat = open_page(context.new_page(), f"{web.url}/chat/")
    chat.ask_and_wait("How do I start?")
    for selector in (".new-chat", ".avatar", ".body a.cite", ".body a:not(.cite)", ".message.user .body"):
        assert chat.page.locator(selector).first.evaluate(CONTRAST) >= 4.5, selector
    context.close()


def test_dark_follows_the_reader_and_the_host_page(browser: Browser, web: WebServer, site: Site) -> None:
    context = browser.new_context(color_scheme="dark", locale="en-GB")
    chat = open_widget(context.new_page(), f"{web.url}/demo/")
    color = "getComputedStyle(document.querySelector('.chat')).backgroundColor"
    dark = chat.page.frames[1].evaluate(color)
    chat.page.evaluate("parley.setColorScheme('light')")
    expect(chat.root.locator("html")).to_have_attribute("data-scheme", "light")
    assert chat.page.frames[1].evaluate(color) == "rgb(255, 255, 255)" != dark
    context.close()
