"""The loader on other people's pages: strict policies, navigation, the host's functions and events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import jwt
import pytest
from playwright.sync_api import Page, expect

from assistant.accounts.models import Visitor
from assistant.conversations.models import Conversation
from assistant.widget import services
from assistant.widget.models import Site
from tests.browser.screen import LONG, Screen, in_widget, rule
from tests.support.browser import complaints_of
from tests.support.foreign import foreign_page
from tests.support.scripted_engine import ScriptedEngine
from tests.support.web import WebServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

EmbedIn = Callable[[str], str]


@pytest.fixture
def embed(web: WebServer, site: Site) -> Iterator[EmbedIn]:
    """Serve a foreign page, whose {server} is ours, and let it frame the site's widget."""
    closers = []

    def serve(html: str) -> str:
        manager = foreign_page(html.replace("{server}", web.url))
        origin = manager.__enter__()
        closers.append(manager)
        site.allowed_origins = [origin]
        site.save()
        return origin

    yield serve
    for manager in closers:
        manager.__exit__(None, None, None)


def page_with(body: str, head: str = "") -> str:
    head = f"<head><title>Shop</title>{head}</head>"
    return f'<!doctype html><html lang="en">{head}<body><h1>Shop</h1>{body}</body></html>'


ELEMENT = page_with('<script async src="{server}/widget.js"></script><parley-chat site="demo"></parley-chat>')


def wait_for_loader(page: Page) -> None:
    page.wait_for_function("typeof window.parley?.run === 'function'")


def test_a_page_with_a_strict_policy_can_embed_it(page: Page, embed: EmbedIn, engine: ScriptedEngine) -> None:
    policy = (
        "default-src 'none'; script-src {server}; frame-src {server}; connect-src {server};"
        " require-trusted-types-for 'script'"
    )
    complaints = complaints_of(page)
    page.goto(
        embed(
            ELEMENT.replace(
                "<title>", f'<meta http-equiv="Content-Security-Policy" content="{policy}"><title>'
            )
        )
    )
    page.locator("parley-chat .launcher").click()
    answer = in_widget(page).ask_and_wait("How do I start?")
    expect(answer.locator(".body")).to_contain_text("word20")
    assert complaints == []


def test_calls_made_before_it_has_loaded_are_done_from_the_head(page: Page, embed: EmbedIn) -> None:
    early = """<script>(window.parley = window.parley || []).push(["on", "ready", (it) => (on = it.site)]);
        const options = { site: "demo", locale: "zh-CN", position: "left", colorScheme: "dark" };
        parley.push(["run", options], ["open"]);</script>
        <script async src="{server}/widget.js"></script>"""
    page.goto(embed(page_with("", early)))
    page.wait_for_function("window.on === 'demo'")
    page.evaluate("parley.open()")
    chat = Screen(page, page.frame_locator("parley-chat iframe"))
    expect(chat.root.locator(".greeting")).to_have_text("请问手册。")
    expect(chat.root.locator("html")).to_have_attribute("data-scheme", "dark")
    box = page.locator("parley-chat .launcher").bounding_box()
    assert box is not None and box["x"] < 100


def test_it_survives_a_navigation_that_swaps_the_body(
    page: Page, embed: EmbedIn, engine: ScriptedEngine
) -> None:
    engine.rules = [rule("start", LONG, rate=80)]
    page.goto(embed(page_with("", '<script async src="{server}/widget.js"></script>')))
    wait_for_loader(page)
    page.evaluate("parley.run({ site: 'demo' }); parley.open()")
    chat = in_widget(page)
    answer = chat.ask("How do I start?")
    chat.wait_for_text(answer, "number 2 ")
    page.evaluate(
        """history.pushState(null, '', '/other');
        const body = document.createElement('body');
        body.textContent = 'Other';
        document.body = body;"""
    )
    chat.wait_for(answer)
    assert chat.text_of(answer) == LONG


def test_it_stays_open_over_a_real_navigation(page: Page, embed: EmbedIn, engine: ScriptedEngine) -> None:
    origin = embed(ELEMENT)
    page.goto(origin)
    page.locator("parley-chat .launcher").click()
    in_widget(page).ask_and_wait("How do I start?")
    page.goto(f"{origin}/next")
    chat = in_widget(page)
    expect(chat.answers.first).to_contain_text("word20")


def test_the_page_hears_what_happens_and_never_the_words(
    page: Page, embed: EmbedIn, engine: ScriptedEngine
) -> None:
    engine.rules = [rule("start", LONG, rate=150)]
    page.goto(embed(ELEMENT))
    wait_for_loader(page)
    page.evaluate(
        """window.heard = [];
        const names = ["opened", "closed", "message", "unread"];
        for (const name of names) parley.on(name, (it) => heard.push([name, it]));"""
    )
    page.locator("parley-chat .launcher").click()
    chat = in_widget(page)
    chat.wait_for_text(chat.ask("How do I start?"), "number 2 ")
    page.evaluate("parley.close()")
    badge = page.locator("parley-chat .badge")
    expect(badge).to_have_text("1", timeout=20_000)
    page.evaluate("parley.toggle()")
    expect(badge).to_be_hidden()
    heard = page.evaluate("heard")
    names = [name for name, _detail in heard]
    assert names == ["opened", "message", "closed", "message", "unread", "opened", "unread"]
    assert "sentence" not in str(heard) and "start" not in str(heard)


def test_the_inline_chat_stands_in_the_page(page: Page, embed: EmbedIn) -> None:
    page.goto(embed(ELEMENT.replace('site="demo"', 'site="demo" inline')))
    chat = in_widget(page)
    expect(page.locator("parley-chat .launcher")).to_have_count(0)
    expect(chat.button("Close the chat")).to_have_count(0)
    box = page.locator("parley-chat iframe").bounding_box()
    assert box is not None and box["width"] > 900 and box["height"] >= 480


def sign(site: Site, secret: str, subject: str) -> str:
    claims = {
        "sub": subject,
        "name": subject.title(),
        "aud": site.slug,
        "exp": int(time.time()) + 300,
        "iat": int(time.time()),
    }
    return jwt.encode(claims, secret, algorithm="HS256")


def test_another_user_never_sees_the_one_before(
    page: Page, embed: EmbedIn, site: Site, engine: ScriptedEngine
) -> None:
    origin = embed(ELEMENT)
    site.refresh_from_db()
    secret = services.rotate_identity_secret(site)
    page.goto(origin)
    wait_for_loader(page)
    page.evaluate("(token) => parley.setUser(token)", sign(site, secret, "ann"))
    page.locator("parley-chat .launcher").click()
    in_widget(page).ask_and_wait("How does Ann start?")
    page.evaluate("(token) => parley.setUser(token)", sign(site, secret, "bob"))
    chat = in_widget(page)
    expect(chat.questions).to_have_count(0)
    chat.ask_and_wait("How does Bob start?")
    owners = Conversation.objects.values_list("visitor__external_id", flat=True)
    assert sorted(owner or "" for owner in owners) == ["ann", "bob"]


def test_reset_forgets_the_visitor_and_the_conversation(
    page: Page, embed: EmbedIn, engine: ScriptedEngine
) -> None:
    page.goto(embed(ELEMENT))
    page.locator("parley-chat .launcher").click()
    in_widget(page).ask_and_wait("How do I start?")
    page.evaluate("parley.reset()")
    chat = in_widget(page)
    expect(chat.questions).to_have_count(0)
    chat.ask_and_wait("How do I start again?")
    assert Visitor.objects.count() == 2
    page.reload()
    expect(in_widget(page).questions).to_contain_text(["How do I start again?"])


def test_no_address_ever_holds_a_token(page: Page, embed: EmbedIn, engine: ScriptedEngine) -> None:
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.on("websocket", lambda socket: addresses.append(socket.url))
    page.goto(embed(ELEMENT))
    page.locator("parley-chat .launcher").click()
    in_widget(page).ask_and_wait("How do I start?")
    assert any(address.startswith("ws:") for address in addresses)
    assert [address for address in addresses if "eyJ" in address or "token" in address] == []


def test_a_message_from_another_window_is_not_obeyed(
    page: Page, embed: EmbedIn, engine: ScriptedEngine
) -> None:
    page.goto(embed(ELEMENT))
    page.locator("parley-chat .launcher").click()
    chat = in_widget(page)
    chat.ask_and_wait("How do I start?")
    page.evaluate("window.postMessage({ parley: 1, type: 'close' }, '*')")  # as if it came from the frame
    page.evaluate(
        """const other = document.createElement("iframe"); document.body.append(other);
        other.contentWindow.eval(`top.document.querySelector("parley-chat").shadowRoot.querySelector("iframe")
            .contentWindow.postMessage({ parley: 1, type: "reset" }, "*")`)"""
    )
    page.wait_for_timeout(500)
    expect(page.locator("parley-chat iframe")).to_be_visible()
    expect(chat.questions).to_have_count(1)
