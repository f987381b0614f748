"""Who asks, over HTTP and over the socket."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import PermissionDenied
from django.middleware.csrf import get_token
from django.test import RequestFactory

from assistant.accounts import api_keys, principals, visitors
from assistant.accounts.principals import NotAuthenticated
from tests.support.people import make_site, make_user, make_visitor

pytestmark = pytest.mark.django_db


def request_of(user: Any = None, *, method: str = "get", authorization: str = "") -> Any:
    headers = {"Authorization": authorization} if authorization else {}
    request = getattr(RequestFactory(), method)("/api/conversations", headers=headers)
    request.user = user or AnonymousUser()
    request.session = SessionStore()
    return request


def scope_of(user: Any = None) -> dict[str, Any]:
    return {"user": user or AnonymousUser(), "session": SessionStore()}


def test_each_kind_has_its_own_key() -> None:
    site, user = make_site(), make_user()
    visitor = make_visitor(site)
    api_key, text = api_keys.make(name="script", site=site, created_by=None)
    token = visitors.issue_token(visitor=visitor).token
    assert principals.from_request(request_of(user)).key == f"user:{user.pk}"
    seen = principals.from_request(request_of(authorization=f"Visitor {token}"))
    assert (seen.key, seen.site_id) == (f"visitor:{visitor.pk}", site.pk)
    seen = principals.from_request(request_of(authorization=f"Bearer {text}"))
    assert (seen.key, seen.site_id) == (f"api_key:{api_key.pk}", site.pk)


def test_a_bad_token_is_refused_though_somebody_is_signed_in() -> None:
    user = make_user()
    with pytest.raises(NotAuthenticated):
        principals.from_request(request_of(user, authorization="Visitor a.b.c"))
    with pytest.raises(NotAuthenticated):
        principals.from_scope(scope_of(user), "a.b.c", make_site())


def test_a_token_wins_over_the_cookie() -> None:
    visitor = make_visitor(make_site())
    token = visitors.issue_token(visitor=visitor).token
    assert principals.from_scope(scope_of(make_user()), token, None).kind == "visitor"


@pytest.mark.parametrize("authorization", ["", "Basic YTpi", "Bearer pk_wrong", "Visitor"])
def test_nobody_is_refused(authorization: str) -> None:
    with pytest.raises(NotAuthenticated):
        principals.from_request(request_of(authorization=authorization))


def test_a_socket_of_nobody_is_refused() -> None:
    with pytest.raises(NotAuthenticated):
        principals.from_scope(scope_of(), None, make_site())


def test_a_socket_token_must_be_the_sites_own() -> None:
    token = visitors.issue_token(visitor=make_visitor(make_site("one"))).token
    with pytest.raises(NotAuthenticated):
        principals.from_scope(scope_of(), token, make_site("two"))


def test_a_cookie_changes_nothing_without_the_csrf_token() -> None:
    user = make_user()
    assert principals.from_request(request_of(user))
    with pytest.raises(PermissionDenied):
        principals.from_request(request_of(user, method="delete"))


def test_a_cookie_with_the_csrf_token_may_change_things() -> None:
    request = request_of(make_user(), method="delete")
    token = get_token(request)
    request.COOKIES["csrftoken"] = request.META["CSRF_COOKIE"]
    request.META["HTTP_X_CSRFTOKEN"] = token
    assert principals.from_request(request).kind == "user"


def test_the_end_is_known_beforehand() -> None:
    token = visitors.issue_token(visitor=make_visitor(make_site())).token
    assert principals.from_request(request_of(authorization=f"Visitor {token}")).expires_at is not None
    assert principals.from_request(request_of(make_user())).expires_at is not None
