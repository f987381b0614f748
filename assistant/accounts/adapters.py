"""What allauth and axes ask us: may people sign up, which login is this, how are TOTP secrets kept."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from assistant import secrets
from assistant.accounts.addresses import client_address


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return settings.SIGNUP_OPEN

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request.META)


class MfaAdapter(DefaultMFAAdapter):
    """Keeps TOTP secrets and recovery seeds sealed: a copy of the database is no second factor."""

    def encrypt(self, text: str) -> str:
        return secrets.seal(text, purpose="mfa").decode()

    def decrypt(self, encrypted_text: str) -> str:
        return secrets.open_sealed(encrypted_text.encode(), purpose="mfa")


def login_of(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """The login that an attempt is counted under: one spelling for one person, known to us or not."""
    given = credentials or {}
    login = given.get("login") or given.get("email") or given.get("username") or request.POST.get("login")
    return str(login or "").strip().lower()[:254]


def address_of(request: HttpRequest) -> str:
    return client_address(request.META)


def locked_out(request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponse:
    """The answer while a (login, address) pair is locked: the same whether the account exists or not."""
    wait_s = round(settings.AXES_COOLOFF_TIME * 3600)
    response = render(request, "account/locked_out.html", {"wait_min": -(-wait_s // 60)}, status=429)
    response["Retry-After"] = str(wait_s)
    return response
