"""Visitor tokens, the site's word about its user, and moving to an account (S14: bad tokens)."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest

from assistant.accounts import visitors
from assistant.accounts.errors import ClaimRefused, IdentityRefused, NotAuthenticated
from assistant.accounts.models import Visitor
from assistant.conversations.models import Conversation
from assistant.widget.services import rotate_identity_secret
from tests.support.people import make_site, make_user, make_visitor

pytestmark = pytest.mark.django_db


def forged(*, header: dict[str, Any] | None = None, key: str | bytes | None = None, **changes: Any) -> str:
    """A visitor token with some claims changed; a claim set to None is left out."""
    site = make_site("forged")
    claims: dict[str, Any] = {
        "sub": str(make_visitor(site).pk),
        "site": site.pk,
        "aud": visitors.AUDIENCE,
        "exp": time.time() + 60,
    }
    claims = {name: value for name, value in (claims | changes).items() if value is not None}
    return jwt.encode(claims, key or visitors._signing_key(), algorithm="HS256", headers=header)


def unsigned(claims: dict[str, Any]) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


def identity(site: Any, secret: str, *, algorithm: str = "HS256", **changes: Any) -> str:
    claims: dict[str, Any] = {"sub": "customer-7", "aud": site.slug, "exp": time.time() + 600}
    claims = {name: value for name, value in (claims | changes).items() if value is not None}
    return jwt.encode(claims, secret, algorithm=algorithm)


def test_a_token_names_its_visitor() -> None:
    site = make_site()
    visitor = visitors.new_visitor(site=site)
    token = visitors.issue_token(visitor=visitor).token
    assert visitors.read_token(token, site=site).visitor == visitor


def test_the_forged_token_is_good_until_something_is_changed() -> None:
    assert visitors.read_token(forged())


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": time.time() - 3600},
        {"exp": None},
        {"aud": "parley"},
        {"aud": None},
        {"aud": [visitors.AUDIENCE, "other"]},
        {"sub": None},
        {"site": 999_999},
        {"key": "x" * 32},
    ],
)
def test_a_token_that_was_tampered_with_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(NotAuthenticated):
        visitors.read_token(forged(**changes))


def test_an_unsigned_token_is_refused() -> None:
    visitor = make_visitor(make_site())
    token = unsigned(
        {"sub": str(visitor.pk), "site": visitor.site_id, "aud": visitors.AUDIENCE, "exp": time.time() + 60}
    )
    with pytest.raises(NotAuthenticated):
        visitors.read_token(token)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "\ud800", "é" * 10, "x" * 100_000])
def test_garbage_is_refused(token: str) -> None:
    with pytest.raises(NotAuthenticated):
        visitors.read_token(token)


def test_a_token_of_another_site_is_refused() -> None:
    token = visitors.issue_token(visitor=make_visitor(make_site("one"))).token
    with pytest.raises(NotAuthenticated):
        visitors.read_token(token, site=make_site("two"))


def test_a_token_dies_with_its_site() -> None:
    site = make_site()
    token = visitors.issue_token(visitor=make_visitor(site)).token
    site.is_active = False
    site.save()
    with pytest.raises(NotAuthenticated):
        visitors.read_token(token)


def test_the_same_user_of_a_site_is_the_same_visitor_everywhere() -> None:
    site = make_site()
    secret = rotate_identity_secret(site)
    first = visitors.identified_visitor(site=site, identity=identity(site, secret, name="Ann"))
    again = visitors.identified_visitor(site=site, identity=identity(site, secret, name="Ann B."))
    other = visitors.identified_visitor(site=site, identity=identity(site, secret, sub="customer-8"))
    assert first == again
    assert again.name == "Ann B."
    assert other != first


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": time.time() - 3600},
        {"exp": None},
        {"exp": time.time() + 25 * 3600},
        {"exp": "tomorrow"},
        {"aud": "another-site"},
        {"aud": None},
        {"aud": ["shop"]},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 201},
        {"sub": "a\x00b"},
        {"sub": 7},
        {"name": "\ud800"},
        {"nbf": time.time() + 3600},
        {"algorithm": "HS512"},
    ],
)
def test_a_site_cannot_vouch_with_a_jwt_that_breaks_the_rules(changes: dict[str, Any]) -> None:
    site = make_site("shop")
    secret = rotate_identity_secret(site)
    with pytest.raises(IdentityRefused):
        visitors.identified_visitor(site=site, identity=identity(site, secret, **changes))
    assert not Visitor.objects.exists()


def test_an_unsigned_identity_is_refused() -> None:
    site = make_site()
    rotate_identity_secret(site)
    with pytest.raises(IdentityRefused):
        visitors.identified_visitor(
            site=site, identity=unsigned({"sub": "1", "aud": site.slug, "exp": time.time() + 60})
        )


def test_another_sites_secret_vouches_for_nobody() -> None:
    site, other = make_site("one"), make_site("two")
    rotate_identity_secret(site)
    with pytest.raises(IdentityRefused):
        visitors.identified_visitor(site=site, identity=identity(site, rotate_identity_secret(other)))


def test_a_site_without_a_secret_vouches_for_nobody() -> None:
    site = make_site()
    with pytest.raises(IdentityRefused, match="no identity secret"):
        visitors.identified_visitor(site=site, identity=identity(site, "x" * 32))


def test_a_rotated_secret_ends_the_old_one() -> None:
    site = make_site()
    old = rotate_identity_secret(site)
    rotate_identity_secret(site)
    with pytest.raises(IdentityRefused):
        visitors.identified_visitor(site=site, identity=identity(site, old))


def test_the_identity_secret_is_sealed_in_the_database() -> None:
    site = make_site()
    secret = rotate_identity_secret(site)
    site.refresh_from_db()
    assert secret.encode() not in bytes(site.identity_secret)


def test_on_sign_in_a_visitors_conversations_move_to_the_account() -> None:
    site, user = make_site(), make_user()
    visitor = make_visitor(site)
    conversation = Conversation.objects.create(site=site, visitor=visitor)
    stranger = Conversation.objects.create(site=site, visitor=make_visitor(site))
    assert visitors.claim(token=visitors.issue_token(visitor=visitor).token, user=user) == 1
    conversation.refresh_from_db()
    stranger.refresh_from_db()
    assert (conversation.user, conversation.visitor) == (user, None)
    assert stranger.user is None


def test_a_claimed_token_is_dead_for_whoever_finds_it() -> None:
    visitor, user = make_visitor(make_site()), make_user()
    token = visitors.issue_token(visitor=visitor).token
    visitors.claim(token=token, user=user)
    with pytest.raises(NotAuthenticated):
        visitors.read_token(token)
    with pytest.raises(NotAuthenticated):
        visitors.claim(token=token, user=make_user("thief@example.com"))


def test_what_a_site_vouches_for_stays_with_the_site() -> None:
    visitor = make_visitor(make_site(), external_id="customer-7")
    with pytest.raises(ClaimRefused):
        visitors.claim(token=visitors.issue_token(visitor=visitor).token, user=make_user())
