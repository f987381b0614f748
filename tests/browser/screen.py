"""The chat as a person sees it, on its own page or in the widget's frame."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import FrameLocator, Locator, Page, expect

LONG = " ".join(f"This is sentence number {number} of the answer." for number in range(1, 41))


class Screen:
    """`root` is the page, or the frame in it."""

    def __init__(self, page: Page, root: Page | FrameLocator) -> None:
        self.page, self.root = page, root

    @property
    def field(self) -> Locator:
        return self.root.get_by_label("Your question", exact=True)

    @property
    def answers(self) -> Locator:
        return self.root.locator(".message.assistant")

    @property
    def questions(self) -> Locator:
        return self.root.locator(".message.user")

    def ask(self, text: str) -> Locator:
        """Send a question; returns the place of its answer."""
        at = self.answers.count()
        self.field.fill(text)
        self.field.press("Enter")
        return self.answers.nth(at)

    def ask_and_wait(self, text: str) -> Locator:
        answer = self.ask(text)
        self.wait_for(answer)
        return answer

    def wait_for(self, answer: Locator, state: str = "complete") -> None:
        expect(answer).to_have_attribute("data-state", state, timeout=20_000)

    def wait_for_text(self, answer: Locator, text: str) -> None:
        expect(answer.locator(".body")).to_contain_text(text, timeout=20_000)

    def text_of(self, answer: Locator) -> str:
        return answer.locator(".body").inner_text().strip()

    def button(self, name: str, within: Locator | None = None) -> Locator:
        return (within or self.root).get_by_role("button", name=name, exact=True)


def open_page(page: Page, url: str) -> Screen:
    page.goto(url)
    screen = Screen(page, page)
    expect(page.locator('.status[data-state="online"]')).to_be_attached()
    return screen


def open_widget(page: Page, url: str) -> Screen:
    """Open a page that embeds the widget, and the widget on it."""
    page.goto(url)
    page.locator("parley-chat .launcher").click()
    return in_widget(page)


def in_widget(page: Page) -> Screen:
    screen = Screen(page, page.frame_locator("parley-chat iframe"))
    expect(screen.root.locator('.status[data-state="online"]')).to_be_attached()
    return screen


def rule(match: str, say: str, **more: Any) -> dict[str, Any]:
    """What the scripted engine says to a question in which `match` is found."""
    return {"match": match, "say": say, **more}
