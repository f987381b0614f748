"""POST /api/visitor and /api/visitor/claim."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from django.test import Client

from assistant.accounts import api, visitors
from assistant.accounts.models import Visitor
from assistant.conversations.models import Conversation
from assistant.widget.services import rotate_identity_secret
from tests.support.people import make_site, make_user, make_visitor
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db


def ask(client: Client, *, token: str = "", origin: str = "", **body: Any) -> Any:
    headers = {"Authorization": f"Visitor {token}"} if token else {}
    if origin:
        headers["Origin"] = origin
    return client.post("/api/visitor", {"site": "shop"} | body, "application/json", headers=headers)


def test_a_new_browser_gets_a_new_visitor(client: Client) -> None:
    make_site()
    first, second = ask(client).json(), ask(client).json()
    assert first["visitor"] != second["visitor"]
    assert first["expires_s"] == 12 * 3600


def test_a_valid_token_is_refreshed_for_the_same_visitor(client: Client) -> None:
    make_site()
    first = ask(client).json()
    assert ask(client, token=first["token"]).json()["visitor"] == first["visitor"]


def test_a_bad_token_is_refused_and_makes_nobody(client: Client) -> None:
    make_site()
    assert ask(client, token="a.b.c").status_code == 401
    assert not Visitor.objects.exists()


def test_a_token_of_another_site_is_not_refreshed(client: Client) -> None:
    make_site()
    token = visitors.issue_token(visitor=make_visitor(make_site("other"))).token
    assert ask(client, token=token).status_code == 401


def test_a_new_identity_is_never_the_former_visitor(client: Client) -> None:
    site = make_site()
    secret = rotate_identity_secret(site)
    before = ask(client).json()
    Conversation.objects.create(site=site, visitor_id=before["visitor"])
    identity = jwt.encode({"sub": "7", "aud": "shop", "exp": time.time() + 60}, secret, algorithm="HS256")
    after = ask(client, token=before["token"], identity=identity).json()
    assert after["visitor"] != before["visitor"]
    assert not Conversation.objects.filter(visitor_id=after["visitor"]).exists()


def test_a_bad_identity_does_not_fall_back_to_a_stranger(client: Client) -> None:
    rotate_identity_secret(make_site())
    assert ask(client, identity="a.b.c").status_code == 401
    assert not Visitor.objects.exists()


@pytest.mark.parametrize("slug", ["shop", "", "a\x00b", "../shop"])
def test_an_unknown_site_is_not_found(client: Client, slug: str) -> None:
    assert ask(client, site=slug).status_code == 404


def test_a_foreign_page_gets_no_token(client: Client) -> None:
    make_site()
    assert ask(client, origin="https://evil.example").status_code == 403
    assert ask(client, origin="null").status_code == 403
    assert ask(client, origin="http://testserver").status_code == 200


def test_one_address_cannot_make_visitors_without_end(
    client: Client, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_site()
    monkeypatch.setattr(api, "MAX_PER_MINUTE", 3)
    assert [ask(client).status_code for _ in range(3)] == [200, 200, 200]
    refused = ask(client)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 60


def test_signing_in_takes_the_visitors_conversations_along(client: Client) -> None:
    site = make_site()
    visitor = make_visitor(site)
    Conversation.objects.create(site=site, visitor=visitor)
    token = visitors.issue_token(visitor=visitor).token
    user = make_user()
    client.force_login(user)
    response = client.post("/api/visitor/claim", {"token": token}, "application/json")
    assert response.json() == {"num_conversations": 1}
    assert Conversation.objects.get().user == user


def test_claiming_needs_a_signed_in_user(client: Client) -> None:
    token = visitors.issue_token(visitor=make_visitor(make_site())).token
    response = client.post("/api/visitor/claim", {"token": token}, "application/json")
    assert response.status_code == 401
    as_visitor = {"Authorization": f"Visitor {token}"}
    response = client.post("/api/visitor/claim", {"token": token}, "application/json", headers=as_visitor)
    assert response.status_code == 401


def test_claiming_by_cookie_needs_the_csrf_token() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user())
    token = visitors.issue_token(visitor=make_visitor(make_site())).token
    assert client.post("/api/visitor/claim", {"token": token}, "application/json").status_code == 403
