"""Sign-in, account pages and the console in Chromium: they work under their policy, in both languages."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.totp.internal import auth
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect

from assistant.accounts import visitors
from assistant.accounts.models import User
from assistant.conversations.models import Conversation
from tests.support.browser import complaints_of
from tests.support.people import PASSWORD, make_site, make_staff, make_user, make_visitor

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
ENTRANCE = ["/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"]
ACCOUNT = [
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/2fa/",
    "/accounts/2fa/totp/activate/",
    "/accounts/sessions/",
]


def sign_in(context: BrowserContext, server: Any, user: User) -> None:
    """Give the browser the session that the sign-in form makes."""
    client = Client()
    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": server.url}
    context.add_cookies([cookie])  # type: ignore[list-item]


def confirm_password(page: Page) -> None:
    """What is sensitive asks for the password again."""
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main form button[type=submit]").click()
    page.wait_for_url(lambda url: "reauthenticate" not in url)


def serious(page: Page) -> list[str]:
    violations = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:120]}"
        for each in violations
        if each["impact"] in {"serious", "critical"}
    ]


def test_a_person_signs_in_with_the_form(page: Page, live_server: Any) -> None:
    make_site()
    make_user()
    complaints = complaints_of(page)
    page.goto(f"{live_server.url}/accounts/login/")
    page.get_by_label("Email").fill("ann@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign In").click()
    page.wait_for_url("**/chat/**")
    assert not [text for text in complaints if "Content Security Policy" in text]


def test_signing_in_takes_along_what_was_asked_before(
    page: Page, context: BrowserContext, live_server: Any
) -> None:
    site, user = make_site(), make_user()
    visitor = make_visitor(site)
    conversation = Conversation.objects.create(site=site, visitor=visitor)
    issued = visitors.issue_token(visitor=visitor)
    kept = {"token": issued.token, "visitor": str(visitor.pk), "until": 4_000_000_000_000}
    page.goto(f"{live_server.url}/accounts/login/")
    page.evaluate("kept => localStorage.setItem('parley:shop:visitor', JSON.stringify(kept))", kept)
    sign_in(context, live_server, user)
    with page.expect_response("**/api/visitor/claim"):
        page.goto(f"{live_server.url}/chat/")
    conversation.refresh_from_db()
    assert (conversation.user, conversation.visitor) == (user, None)


@pytest.mark.parametrize("path", ENTRANCE)
def test_entrances_keep_to_the_policy_and_can_be_used_by_all(page: Page, live_server: Any, path: str) -> None:
    complaints = complaints_of(page)
    page.goto(f"{live_server.url}{path}")
    expect(page.locator("h1")).to_be_visible()
    assert serious(page) == []
    assert complaints == []


@pytest.mark.parametrize("path", ACCOUNT)
def test_account_pages_keep_to_the_policy_and_can_be_used_by_all(
    page: Page, context: BrowserContext, live_server: Any, path: str
) -> None:
    sign_in(context, live_server, make_user())
    complaints = complaints_of(page)
    page.goto(f"{live_server.url}{path}")
    if "reauthenticate" in page.url:
        assert serious(page) == []
        confirm_password(page)
    assert page.url.endswith(path)
    assert serious(page) == []
    assert complaints == []


@pytest.mark.parametrize(("path", "word"), [("/accounts/login/", "登录"), ("/accounts/signup/", "注册")])
def test_entrances_speak_chinese(browser: Browser, live_server: Any, path: str, word: str) -> None:
    page = browser.new_page(locale="zh-CN")
    page.goto(f"{live_server.url}{path}")
    expect(page.locator("h1")).to_have_text(word)


def test_a_person_sets_up_a_second_factor(page: Page, context: BrowserContext, live_server: Any) -> None:
    user = make_user()
    sign_in(context, live_server, user)
    page.goto(f"{live_server.url}/accounts/2fa/totp/activate/")
    confirm_password(page)
    secret = page.locator("#authenticator_secret").input_value()
    counter = next(iter(auth.yield_hotp_counters_from_time()))
    page.locator("#id_code").fill(auth.format_hotp_value(auth.hotp_value(secret, counter)))
    page.locator("main form button[type=submit]").click()
    page.wait_for_url("**/2fa/recovery-codes/**")
    assert user.authenticator_set.filter(type="totp").exists()


def test_the_console_works_under_its_policy(page: Page, context: BrowserContext, live_server: Any) -> None:
    staff = make_staff(is_superuser=True)
    client = Client()
    client.force_login(staff)
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    context.add_cookies([cookie])  # type: ignore[list-item]
    complaints = complaints_of(page)
    for path in ("/console/", "/console/auth/group/", "/console/auth/group/add/"):
        assert page.goto(f"{live_server.url}{path}").ok  # type: ignore[union-attr]
        page.wait_for_load_state("networkidle")
    assert [text for text in complaints if "404" not in text] == []
