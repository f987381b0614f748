"""Signing in, and what stands against guessing (S13)."""

from __future__ import annotations

import re
import statistics
import time

import pytest
from django.core import mail
from django.test import Client
from pytest_django import Settings

from tests.support.people import PASSWORD, make_user

pytestmark = pytest.mark.django_db


def sign_in(client: Client, login: str, password: str, *, address: str = "203.0.113.1"):
    return client.post("/accounts/login/", {"login": login, "password": password}, REMOTE_ADDR=address)


def words(html: bytes, *leave_out: str) -> str:
    """A page's text without what differs on each showing."""
    text = re.sub(r'nonce="[^"]*"|name="csrfmiddlewaretoken" value="[^"]*"', "", html.decode())
    for word in leave_out:
        text = text.replace(word, "")
    return text


def test_the_right_password_opens(client: Client) -> None:
    make_user()
    response = sign_in(client, "ann@example.com", PASSWORD)
    assert response.headers["Location"] == "/chat/"
    assert client.session["_auth_user_id"]


def test_passwords_are_kept_as_argon2() -> None:
    assert make_user().password.startswith("argon2$argon2id$")


def test_the_session_id_rotates_at_sign_in(client: Client) -> None:
    make_user()
    client.post("/i18n/setlang/", {"language": "en"})
    session = client.session
    session["fixed"] = "by an attacker"
    session.save()
    before = session.session_key
    client.cookies["sessionid"] = before or ""
    sign_in(client, "ann@example.com", PASSWORD)
    assert client.session.session_key != before
    assert not client.session.exists(before or "")


def test_a_wrong_password_and_an_unknown_login_read_the_same(client: Client) -> None:
    make_user()
    known = sign_in(client, "ann@example.com", "wrong")
    unknown = sign_in(client, "bob@example.com", "wrong")
    assert known.status_code == unknown.status_code == 200
    assert words(known.content, "ann@example.com") == words(unknown.content, "bob@example.com")


def test_an_unknown_login_takes_as_long_as_a_wrong_password(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the real hash
    settings.AXES_ENABLED = False
    settings.ACCOUNT_RATE_LIMITS = False
    make_user()
    times: dict[str, list[float]] = {"ann@example.com": [], "bob@example.com": []}
    for _ in range(5):
        for login, seen in times.items():
            started = time.perf_counter()
            sign_in(client, login, "wrong")
            seen.append(time.perf_counter() - started)
    known, unknown = (statistics.median(seen) for seen in times.values())
    # The hash is most of the time: without one for unknown logins the ratio is about 4.
    assert 0.5 < known / unknown < 2


def test_too_many_failures_lock_this_login_at_this_address(client: Client, settings: Settings) -> None:
    make_user()
    for _ in range(settings.AXES_FAILURE_LIMIT):
        locked = sign_in(client, "ann@example.com", "wrong")
    assert locked.status_code == 429
    assert int(locked.headers["Retry-After"]) == 900
    assert sign_in(client, "ann@example.com", PASSWORD).status_code == 429
    assert "_auth_user_id" not in client.session


def test_the_lock_knows_another_spelling_of_the_login(client: Client, settings: Settings) -> None:
    make_user()
    for _ in range(settings.AXES_FAILURE_LIMIT):
        sign_in(client, "ann@example.com", "wrong")
    assert sign_in(client, " ANN@Example.com", PASSWORD).status_code == 429


def test_a_locked_login_does_not_lock_its_neighbours(client: Client, settings: Settings) -> None:
    make_user()
    make_user("bob@example.com")
    for _ in range(settings.AXES_FAILURE_LIMIT):
        sign_in(client, "ann@example.com", "wrong")
    assert sign_in(client, "bob@example.com", PASSWORD).status_code == 302


def test_a_stranger_cannot_lock_the_owner_out(client: Client, settings: Settings) -> None:
    make_user()
    for _ in range(settings.AXES_FAILURE_LIMIT):
        sign_in(client, "ann@example.com", "wrong", address="198.51.100.66")
    assert sign_in(client, "ann@example.com", PASSWORD, address="203.0.113.1").status_code == 302


def test_a_spoofed_address_does_not_open_the_lock(client: Client, settings: Settings) -> None:
    make_user()
    for number in range(settings.AXES_FAILURE_LIMIT + 1):
        response = client.post(
            "/accounts/login/",
            {"login": "ann@example.com", "password": "wrong"},
            headers={"X-Forwarded-For": f"198.51.100.{number}"},
        )
    assert response.status_code == 429


def test_unknown_logins_lock_just_the_same(client: Client, settings: Settings) -> None:
    make_user()
    pages = []
    for login in ("ann@example.com", "nobody@example.com"):
        for _ in range(settings.AXES_FAILURE_LIMIT):
            response = sign_in(client, login, "wrong")
        pages.append((response.status_code, words(response.content)))
    assert pages[0] == pages[1]


def test_one_address_that_tries_many_logins_is_stopped(client: Client) -> None:
    make_user()
    for number in range(31):
        response = sign_in(client, f"user{number}@example.com", "Password1")
    assert b"Too many" in response.content or response.status_code == 429
    assert sign_in(client, "ann@example.com", PASSWORD).status_code != 302


def test_success_forgets_earlier_slips(client: Client, settings: Settings) -> None:
    make_user()
    for _ in range(2):
        for _ in range(settings.AXES_FAILURE_LIMIT - 1):
            sign_in(client, "ann@example.com", "wrong")
        assert sign_in(client, "ann@example.com", PASSWORD).status_code == 302
        client.logout()


def test_a_deactivated_account_does_not_open(client: Client) -> None:
    make_user(is_active=False)
    sign_in(client, "ann@example.com", PASSWORD)
    assert "_auth_user_id" not in client.session


def test_sign_in_leads_to_no_foreign_page(client: Client) -> None:
    make_user()
    response = client.post(
        "/accounts/login/?next=https://evil.example/",
        {"login": "ann@example.com", "password": PASSWORD, "next": "https://evil.example/"},
    )
    assert response.headers["Location"] == "/chat/"


def test_a_reset_reads_the_same_for_unknown_addresses(client: Client) -> None:
    make_user()
    known = client.post("/accounts/password/reset/", {"email": "ann@example.com"}, follow=True)
    unknown = client.post("/accounts/password/reset/", {"email": "bob@example.com"}, follow=True)
    assert known.redirect_chain == unknown.redirect_chain
    assert words(known.content) == words(unknown.content)


def test_a_reset_link_works_once(client: Client) -> None:
    user = make_user()
    client.post("/accounts/password/reset/", {"email": user.email})
    link = re.search(r"http://testserver(/\S+)", str(mail.outbox[0].body))
    assert link
    form = client.get(link[1], follow=True)
    target = form.redirect_chain[-1][0]
    new = "a-brand-new-passphrase"
    client.post(target, {"password1": new, "password2": new})
    assert sign_in(Client(), user.email, new).status_code == 302
    again = Client().get(link[1], follow=True)
    assert b'name="password1"' not in again.content
