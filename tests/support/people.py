"""The people of tests: sites, accounts and visitors, made the way the product makes them."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

from assistant.accounts.models import User, Visitor
from assistant.widget.models import Site

PASSWORD = "a-long-enough-passphrase"


def make_site(slug: str = "shop", **fields: Any) -> Site:
    return Site.objects.create(slug=slug, name=slug.title(), **fields)


def make_user(email: str = "ann@example.com", **fields: Any) -> User:
    """An account whose address is verified, so that it can sign in with PASSWORD."""
    user = User.objects.create_user(email, PASSWORD, **fields)
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    return user


def make_staff(email: str = "staff@example.com", *, has_second_factor: bool = True, **fields: Any) -> User:
    user = make_user(email, is_staff=True, **fields)
    if has_second_factor:
        TOTP.activate(user, generate_totp_secret())
    return user


def make_visitor(site: Site, **fields: Any) -> Visitor:
    return Visitor.objects.create(site=site, **fields)
