"""The pages that hold the chat, and what a foreign page loads."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import pytest
from django.test import Client

from assistant.widget.services import rotate_identity_secret
from tests.support.people import make_site, make_user

pytestmark = pytest.mark.django_db


def policy(response: Any) -> dict[str, str]:
    directives = [
        part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";")
    ]
    return {directive[0]: directive[-1] for directive in directives}


def config_in(response: Any) -> dict[str, Any]:
    text = re.search(rb'<script id="parley-config" type="application/json">(.*?)</script>', response.content)
    assert text
    return json.loads(text[1])


def test_the_frame_may_stand_in_listed_sites_only(client: Client) -> None:
    make_site(allowed_origins=["https://shop.example"])
    response = client.get("/widget/frame/shop/")
    assert policy(response)["frame-ancestors"] == "'self' https://shop.example"
    assert "X-Frame-Options" not in response.headers


def test_the_rest_of_the_frames_policy_is_as_strict_as_elsewhere(client: Client) -> None:
    make_site()
    seen = policy(client.get("/widget/frame/shop/"))
    assert seen["default-src"] == "'none'"
    assert seen["script-src"].startswith("'self'")
    assert "unsafe" not in str(seen)


@pytest.mark.parametrize(
    "path", ["/", "/demo/", "/chat/", "/accounts/login/", "/health", "/widget/frame/none/"]
)
def test_no_other_page_can_be_framed(client: Client, path: str) -> None:
    make_site()
    response = client.get(path)
    assert policy(response)["frame-ancestors"] == "'none'"
    assert response.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("path", ["/", "/demo/", "/chat/", "/accounts/login/", "/accounts/signup/"])
def test_no_page_allows_inline_scripts(client: Client, path: str) -> None:
    make_site()
    assert "unsafe" not in client.get(path).headers["Content-Security-Policy"]


def test_the_configuration_is_public_and_holds_no_secret(client: Client) -> None:
    site = make_site(allowed_origins=["https://intranet.example"], handoff_email="help@shop.example")
    secret = rotate_identity_secret(site)
    response = client.get("/widget/config/shop.json")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Set-Cookie" not in response.headers
    text = response.content.decode()
    assert not any(word in text for word in (secret, "intranet", "help@shop.example", "secret"))


def test_a_signed_in_user_is_nobody_in_the_frame(client: Client) -> None:
    make_site()
    client.force_login(make_user())
    response = client.get("/widget/frame/shop/")
    assert config_in(response)["user"] is None
    assert b"ann@example.com" not in response.content


def test_the_chat_page_knows_its_user(client: Client) -> None:
    make_site()
    client.force_login(make_user())
    assert config_in(client.get("/chat/"))["user"] == "ann@example.com"


def test_the_chat_page_is_the_same_shell_for_any_id(client: Client) -> None:
    make_site()
    response = client.get(f"/chat/{uuid.uuid4()}/")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/widget/frame/none/", "/widget/config/none.json"])
def test_an_unknown_site_is_not_found(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/widget/frame/shop/", "/widget/config/shop.json"])
def test_a_site_that_is_switched_off_is_not_found(client: Client, path: str) -> None:
    make_site(is_active=False)
    assert client.get(path).status_code == 404


def test_text_of_a_site_cannot_leave_its_script_element(client: Client) -> None:
    make_site(greeting={"en": "</script><script>alert(1)</script>"})
    response = client.get("/widget/frame/shop/")
    assert b"<script>alert" not in response.content
    assert config_in(response)["greeting"]["en"].startswith("</script>")


def test_the_loader_is_asked_for_again_by_its_etag(client: Client) -> None:
    first = client.get("/widget.js")
    assert first.headers["Content-Type"].startswith("text/javascript")
    assert "public" in first.headers["Cache-Control"]
    again = client.get("/widget.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_loader_sets_no_cookie_and_may_be_loaded_from_anywhere(client: Client) -> None:
    response = client.get("/widget.js")
    assert not response.cookies
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
