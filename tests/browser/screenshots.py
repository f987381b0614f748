"""Takes the pictures of docs/screenshots from a running Parley:

    python -m tests.browser.screenshots http://127.0.0.1:8000

At 1280 and at 390 pixels, light and dark, in English and Chinese; whoever changes a style looks at them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.screen import Screen, in_widget, open_page
from tests.support.browser import FLAGS, chromium_path

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
QUESTIONS = {"en-GB": "Which database does Parley use by default?", "zh-CN": "Parley 默认使用什么数据库？"}
LABELS = {"en-GB": "Your question", "zh-CN": "您的问题"}


def ask(chat: Screen, locale: str) -> None:
    chat.root.get_by_label(LABELS[locale], exact=True).fill(QUESTIONS[locale])
    chat.page.keyboard.press("Enter")
    chat.root.locator(".message.assistant .receipt").first.wait_for(timeout=120_000)
    chat.page.wait_for_timeout(600)


def save(page: Page, name: str) -> None:
    page.wait_for_timeout(500)
    page.screenshot(path=FOLDER / f"{name}.png")
    print(name, (FOLDER / f"{name}.png").stat().st_size // 1024, "KiB")


def take(browser: Browser, url: str, *, size: str, scheme: Any, locale: str) -> None:
    """One visitor's way: front page, widget on a foreign page, chat page, the cited article."""
    context = browser.new_context(**(PHONE if size == "390" else DESK), color_scheme=scheme, locale=locale)
    context.set_default_timeout(30_000)
    page = context.new_page()
    name = f"{size}-{scheme}-{locale[:2]}"
    page.goto(f"{url}/")
    page.wait_for_load_state("networkidle")
    save(page, f"landing-{name}")
    page.goto(f"{url}/demo/")
    page.locator("parley-chat .launcher").click()
    widget = in_widget(page)
    save(page, f"widget-start-{name}")
    ask(widget, locale)
    save(page, f"widget-answer-{name}")
    chat = open_page(page, f"{url}/chat/")
    ask(chat, locale)
    chat.root.locator(".receipt").first.click()
    chat.page.get_by_role("dialog").wait_for()
    save(page, f"chat-{name}")
    page.keyboard.press("Escape")
    sources = chat.root.locator(".sources a")
    if sources.count():
        page.goto(sources.first.get_attribute("href") or "")
        save(page, f"article-{name}")
    context.close()


def main() -> None:
    url = sys.argv[1].rstrip("/")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        for size in ("1280", "390"):
            for scheme, locale in (("light", "en-GB"), ("dark", "zh-CN")):
                take(browser, url, size=size, scheme=scheme, locale=locale)
        browser.close()


if __name__ == "__main__":
    main()
