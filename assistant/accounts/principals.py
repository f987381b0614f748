"""Who asks: a signed-in user, a visitor of a site's widget, or a program with a key.

Every route and socket gets its principal here, and nowhere else. An explicit credential (visitor
token, API key) wins over the cookie, and a bad one is refused rather than ignored: a widget that holds
a stale identity must never fall through to whoever happens to be signed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from assistant.accounts import api_keys, visitors
from assistant.accounts.errors import NotAuthenticated

if TYPE_CHECKING:
    from assistant.accounts.models import ApiKey, User, Visitor
    from assistant.widget.models import Site

__all__ = [
    "NotAuthenticated",
    "Principal",
    "from_request",
    "from_scope",
    "of_api_key",
    "of_user",
    "of_visitor",
]


@dataclass(frozen=True)
class Principal:
    """`site_id` binds visitors and keys to one site; None for users. Equal when kind and id are."""

    kind: Literal["user", "visitor", "api_key"]
    id: str
    site_id: int | None = field(default=None, compare=False)
    user: User | None = field(default=None, compare=False, repr=False)
    visitor: Visitor | None = field(default=None, compare=False, repr=False)
    api_key: ApiKey | None = field(default=None, compare=False, repr=False)
    expires_at: datetime | None = field(default=None, compare=False)

    @property
    def key(self) -> str:
        """For example `user:12`: stable, safe to store, no secret."""
        return f"{self.kind}:{self.id}"

    @property
    def name(self) -> str:
        """What to call them on the screen; empty for a visitor without a name."""
        if self.user is not None:
            return self.user.get_full_name() or self.user.email
        return self.visitor.name if self.visitor is not None else ""


def of_user(user: User, *, expires_at: datetime | None = None) -> Principal:
    return Principal("user", str(user.pk), user=user, expires_at=expires_at)


def of_visitor(visitor: Visitor, *, expires_at: datetime | None = None) -> Principal:
    return Principal(
        "visitor", str(visitor.pk), site_id=visitor.site_id, visitor=visitor, expires_at=expires_at
    )


def of_api_key(api_key: ApiKey) -> Principal:
    return Principal("api_key", str(api_key.pk), site_id=api_key.site_id, api_key=api_key)


def from_scope(scope: Mapping[str, Any], token: str | None, site: Site | None) -> Principal:
    """The principal of a websocket: its visitor token if one is given, else the session's user.

    Touches the database: call it through `database_sync_to_async`. Raises NotAuthenticated, also when
    the token was issued for another site than `site`.
    """
    if token:
        seen = visitors.read_token(token, site=site)
        return of_visitor(seen.visitor, expires_at=seen.expires_at)
    user = scope.get("user")
    if user is None or not user.is_authenticated or not user.is_active:
        raise NotAuthenticated("Nobody is signed in. Get a visitor token, or sign in.")
    return of_user(user, expires_at=scope["session"].get_expiry_date())


def from_request(request: HttpRequest) -> Principal:
    """The principal of an HTTP request, by `Authorization: Visitor …` or `Bearer pk_…`, else the session.

    A session counts only with a valid CSRF token when the method changes something, whatever the view
    itself exempts. Raises NotAuthenticated, or PermissionDenied for the missing CSRF token.
    """
    scheme, _space, credential = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "visitor":
        seen = visitors.read_token(credential.strip())
        return of_visitor(seen.visitor, expires_at=seen.expires_at)
    if scheme.lower() == "bearer":
        return of_api_key(api_keys.authenticate(credential.strip()))
    if scheme:
        raise NotAuthenticated(f"Authorization {scheme[:20]!r} is not known here. Use Visitor or Bearer.")
    if not request.user.is_authenticated:
        raise NotAuthenticated("Nobody is signed in. Sign in, or send a visitor token or an API key.")
    _require_csrf_token(request)
    return of_user(request.user, expires_at=request.session.get_expiry_date())


class _CsrfCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:
        raise PermissionDenied(f"{reason} Send the CSRF cookie's value as X-CSRFToken.")


def _require_csrf_token(request: HttpRequest) -> None:
    check = _CsrfCheck(lambda request: HttpResponse())
    check.process_request(request)
    # A view that is CSRF-exempt for keys and tokens is not exempt for cookies.
    request.csrf_processing_done = False  # type: ignore[attr-defined]
    check.process_view(request, lambda request: HttpResponse(), (), {})
