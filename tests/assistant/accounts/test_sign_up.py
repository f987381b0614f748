"""Making an account."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from django.test import Client
from pytest_django import Settings

from assistant.accounts.models import User
from tests.support.people import PASSWORD, make_user

pytestmark = pytest.mark.django_db


def sign_up(client: Client, email: str, password: str = PASSWORD):
    return client.post(
        "/accounts/signup/", {"email": email, "password1": password, "password2": password}, follow=True
    )


def test_an_account_opens_once_its_address_is_verified(client: Client) -> None:
    sign_up(client, "new@example.com")
    assert "_auth_user_id" not in client.session
    sign_in = {"login": "new@example.com", "password": PASSWORD}
    client.post("/accounts/login/", sign_in)
    assert "_auth_user_id" not in client.session
    link = re.search(r"http://testserver(/accounts/confirm-email/\S+)", str(mail.outbox[0].body))
    assert link
    client.post(link[1])
    Client().post("/accounts/login/", sign_in)
    fresh = Client()
    fresh.post("/accounts/login/", sign_in)
    assert fresh.session["_auth_user_id"]


def test_a_taken_address_reads_the_same_and_its_owner_is_told(client: Client) -> None:
    make_user("taken@example.com")
    taken = sign_up(client, "taken@example.com")
    free = sign_up(Client(), "free@example.com")
    assert taken.redirect_chain == free.redirect_chain
    assert User.objects.count() == 2
    assert [message.to for message in mail.outbox] == [["taken@example.com"], ["free@example.com"]]


@pytest.mark.parametrize("password", ["short", "password123", "new@example.com"])
def test_a_weak_password_is_refused(client: Client, password: str) -> None:
    sign_up(client, "new@example.com", password)
    assert not User.objects.exists()


def test_closed_sign_up_makes_no_account(client: Client, settings: Settings) -> None:
    settings.SIGNUP_OPEN = False
    assert b'name="password1"' not in client.get("/accounts/signup/").content
    sign_up(client, "new@example.com")
    assert not User.objects.exists()


def test_addresses_are_one_account_in_any_spelling(client: Client) -> None:
    make_user("ann@example.com")
    sign_up(client, "ANN@example.com")
    assert User.objects.count() == 1
