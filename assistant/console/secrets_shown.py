"""The one page on which a new secret is seen: never stored, cached or put into a message or an address."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse


def show_once(
    request: HttpRequest,
    *,
    title: Any,
    secret: str,
    explanation: Any,
    back_to: str,
    args: tuple[Any, ...] = (),
) -> TemplateResponse:
    """The answer to the form that made the secret. `back_to`: the address name of the way on."""
    context = {
        **admin.site.each_context(request),
        "title": title,
        "secret": secret,
        "explanation": explanation,
        "back_url": reverse(back_to, args=args),
    }
    response = TemplateResponse(request, "console/secret_shown.html", context)
    response["Cache-Control"] = "no-store"
    return response
