"""Visitors: people who ask through a site's widget without an account of ours.

A visitor holds a short-lived signed token, made here and bound to one site. The site may vouch for its
own signed-in user with a JWT signed by its identity secret; then the visitor is that user wherever the
widget stands. When a visitor signs in to an account of ours, the conversations move to the account and
the token dies, so that the next person at the same browser starts with nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from assistant.accounts import revocation
from assistant.accounts.errors import ClaimRefused, IdentityRefused, NotAuthenticated
from assistant.accounts.models import User, Visitor
from assistant.widget.models import Site
from assistant.widget.services import identity_secret

AUDIENCE = "parley-visitor"
ALGORITHM = "HS256"
LIFETIME = timedelta(hours=12)
MAX_IDENTITY_LIFETIME = timedelta(hours=24)
MAX_TOKEN_LENGTH = 4096
LEEWAY_S = 30  # clocks of two machines differ


@dataclass(frozen=True)
class SeenVisitor:
    visitor: Visitor
    expires_at: datetime


@dataclass(frozen=True)
class IssuedToken:
    token: str
    visitor: Visitor
    expires_s: int


def issue_token(*, visitor: Visitor) -> IssuedToken:
    """A token good for LIFETIME. Asking again with a valid one is how a client refreshes it."""
    now = datetime.now(UTC)
    claims = {
        "sub": str(visitor.pk),
        "site": visitor.site_id,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + LIFETIME,
    }
    token = jwt.encode(claims, _signing_key(), algorithm=ALGORITHM)
    return IssuedToken(token=token, visitor=visitor, expires_s=int(LIFETIME.total_seconds()))


def read_token(token: str, *, site: Site | None = None) -> SeenVisitor:
    """The visitor a token names. Raises NotAuthenticated.

    Refused: altered, expired, of another `site`, of a site that was switched off, of a visitor who has
    since signed in to an account.
    """
    try:
        claims = _decode(token, key=_signing_key(), audience=AUDIENCE, required=["sub", "site", "exp", "aud"])
    except jwt.PyJWTError as error:
        raise NotAuthenticated(f"The visitor token does not hold ({error}). Ask for a new one.") from None
    visitor = Visitor.objects.select_related("site").filter(pk=claims["sub"], site=claims["site"]).first()
    if visitor is None or not visitor.site.is_active:
        raise NotAuthenticated("The visitor token's site is gone. Ask for a new one.")
    if site is not None and visitor.site_id != site.pk:
        raise NotAuthenticated("The visitor token belongs to another site. Ask for one for this site.")
    if visitor.user_id is not None:
        raise NotAuthenticated("This visitor has signed in since. Use the account, or ask for a new token.")
    return SeenVisitor(visitor=visitor, expires_at=datetime.fromtimestamp(claims["exp"], UTC))


def new_visitor(*, site: Site) -> Visitor:
    return Visitor.objects.create(site=site)


def identified_visitor(*, site: Site, identity: str) -> Visitor:
    """The visitor for the user whom the site vouches for by a JWT. Raises IdentityRefused.

    HS256 with the site's identity secret and nothing else; `aud` is the site's slug, `sub` the site's own
    id of the user, `exp` at most MAX_IDENTITY_LIFETIME ahead, `name` optional.
    """
    claims = _read_identity(site=site, identity=identity)
    external_id, name = str(claims["sub"]), str(claims.get("name") or "")[:200]
    if not 0 < len(external_id) <= 200 or not f"{external_id}{name}".isprintable():
        raise IdentityRefused("The identity's sub must have 1 to 200 characters, and name plain ones too.")
    visitor, is_new = Visitor.objects.get_or_create(
        site=site, external_id=external_id, defaults={"name": name}
    )
    if not is_new and name and visitor.name != name:
        visitor.name = name
        visitor.save(update_fields=["name"])
    return visitor


def claim(*, token: str, user: User) -> int:
    """Move an anonymous visitor's conversations to the account they signed in to; returns how many.

    Raises NotAuthenticated for a bad token, ClaimRefused for a user whom a site vouches for: those
    conversations belong to the site's account, and the next identity of the same user must find them.
    """
    visitor = read_token(token).visitor
    if visitor.external_id is not None:
        raise ClaimRefused("The site that vouches for this visitor keeps the conversations.")
    with transaction.atomic():
        is_first = Visitor.objects.filter(pk=visitor.pk, user=None).update(user=user)
        if not is_first:
            raise NotAuthenticated("This visitor has signed in already.")
        num_moved = visitor.conversations.update(user=user, visitor=None)
        transaction.on_commit(lambda: revocation.revoke_principal(f"visitor:{visitor.pk}"))
    return num_moved


def _read_identity(*, site: Site, identity: str) -> dict[str, Any]:
    secret = identity_secret(site)
    if secret is None:
        raise IdentityRefused(f"Site {site.slug!r} has no identity secret. Make one in the console.")
    try:
        claims = _decode(identity, key=secret, audience=site.slug, required=["sub", "exp", "aud"])
    except jwt.PyJWTError as error:
        raise IdentityRefused(
            f"The identity does not hold ({error}). Sign it with HS256, aud={site.slug!r}, sub and exp."
        ) from None
    latest = timezone.now() + MAX_IDENTITY_LIFETIME + timedelta(seconds=LEEWAY_S)
    if claims["exp"] > latest.timestamp():
        raise IdentityRefused("The identity's exp is more than 24 hours ahead. Sign a shorter one.")
    return claims


def _decode(token: str, *, key: str | bytes, audience: str, required: list[str]) -> dict[str, Any]:
    if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
        raise jwt.InvalidTokenError(f"not up to {MAX_TOKEN_LENGTH} plain characters")
    return jwt.decode(
        token,
        key,
        algorithms=[ALGORITHM],
        audience=audience,
        leeway=LEEWAY_S,
        options={"require": required, "strict_aud": True},
    )


def _signing_key() -> bytes:
    return salted_hmac("parley.visitor-token", "", algorithm="sha256").digest()
