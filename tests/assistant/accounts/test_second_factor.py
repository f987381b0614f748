"""TOTP: asked for at sign-in, good once, sealed at rest, required for staff on the console."""

from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth
from django.test import Client
from pytest_django import Settings

from tests.support.people import PASSWORD, make_staff, make_user

pytestmark = pytest.mark.django_db
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def code_now() -> str:
    counter = next(iter(auth.yield_hotp_counters_from_time()))
    return auth.format_hotp_value(auth.hotp_value(SECRET, counter))


def sign_in(client: Client, *, email: str = "ann@example.com") -> str:
    response = client.post("/accounts/login/", {"login": email, "password": PASSWORD})
    return response.headers["Location"]


def test_the_password_alone_does_not_open(client: Client) -> None:
    auth.TOTP.activate(make_user(), SECRET)
    assert sign_in(client) == "/accounts/2fa/authenticate/"
    assert "_auth_user_id" not in client.session


def test_the_code_opens_and_the_session_id_rotates(client: Client) -> None:
    auth.TOTP.activate(make_user(), SECRET)
    sign_in(client)
    before = client.session.session_key
    client.post("/accounts/2fa/authenticate/", {"code": code_now()})
    assert client.session["_auth_user_id"]
    assert client.session.session_key != before


def test_a_code_that_was_seen_opens_nothing(client: Client) -> None:
    auth.TOTP.activate(make_user(), SECRET)
    code = code_now()
    sign_in(client)
    client.post("/accounts/2fa/authenticate/", {"code": code})
    thief = Client()
    sign_in(thief)
    thief.post("/accounts/2fa/authenticate/", {"code": code})
    assert "_auth_user_id" not in thief.session


def test_codes_cannot_be_tried_without_end(client: Client) -> None:
    auth.TOTP.activate(make_user(), SECRET)
    sign_in(client)
    for number in range(40):
        response = client.post("/accounts/2fa/authenticate/", {"code": f"{number:06}"})
    assert response.status_code == 429 or b"Too many" in response.content


def test_the_secret_is_sealed_in_the_database() -> None:
    auth.TOTP.activate(make_user(), SECRET)
    assert SECRET not in str(Authenticator.objects.get().data)


def test_staff_without_a_second_factor_are_led_to_make_one(client: Client) -> None:
    client.force_login(make_staff(has_second_factor=False))
    response = client.get("/console/")
    assert response.headers["Location"] == "/accounts/2fa/totp/activate/"


def test_staff_with_a_second_factor_come_in(client: Client) -> None:
    client.force_login(make_staff())
    assert client.get("/console/").status_code == 200


def test_an_operator_may_switch_the_requirement_off(client: Client, settings: Settings) -> None:
    settings.STAFF_MFA = False
    client.force_login(make_staff(has_second_factor=False))
    assert client.get("/console/").status_code == 200


@pytest.mark.parametrize("path", ["/console/", "/console/login/", "/console/accounts/user/"])
def test_the_console_has_no_sign_in_of_its_own(client: Client, path: str) -> None:
    response = client.post(path, {"username": "staff@example.com", "password": PASSWORD})
    assert response.headers["Location"].startswith("/accounts/login/?next=/console/")


def test_an_ordinary_account_does_not_come_in(client: Client) -> None:
    client.force_login(make_user())
    assert client.get("/console/").status_code == 403


def test_signed_in_staff_cannot_become_somebody_else_without_a_code(client: Client) -> None:
    client.force_login(make_staff())
    other = make_staff("other@example.com", is_superuser=True)
    client.post("/console/login/", {"username": other.email, "password": PASSWORD})
    assert client.session["_auth_user_id"] != str(other.pk)
