"""Pages that hold the chat, and what a foreign page fetches to embed it.

Every page that shows the chat gets `config`: what `services.public_config` says about the site, and
`apiBase`, `mode`, `user` (name, when somebody of ours is signed in and the page is ours), `csrfToken`,
`conversation` (id in the address, if any) and `language` (the page's).
"""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import Any

from django.contrib.staticfiles import finders
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.cache import cache_control
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from assistant.widget import services
from assistant.widget.models import Site


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """The front page, with the widget of the oldest site."""
    site = services.default_site()
    return render(request, "landing.html", {"site": site, "snippet": _snippet(request, site)})


@require_safe
def demo(request: HttpRequest) -> HttpResponse:
    """A page that looks like somebody else's and embeds the widget as theirs would."""
    site = services.default_site()
    return render(request, "widget/demo.html", {"site": site, "snippet": _snippet(request, site)})


@require_safe
@ensure_csrf_cookie
def chat(request: HttpRequest, conversation_id: uuid.UUID | None = None) -> HttpResponse:
    """The full chat page: an empty shell, the same for an id that exists, is foreign or is made up.

    What it shows is fetched by the page as whoever asks, so the shell has nothing to protect.
    """
    site = services.default_site()
    if site is None:
        raise Http404("There is no site yet. Run `manage.py seed`.")
    user = request.user.get_full_name() or request.user.email if request.user.is_authenticated else None
    config = _chat_config(site, mode="page") | {
        "user": user,
        "csrfToken": get_token(request),
        "conversation": str(conversation_id) if conversation_id else None,
    }
    response = render(request, "chat/page.html", {"site": site, "config": config})
    response["Cache-Control"] = "no-store"
    return response


@require_safe
@xframe_options_exempt
def frame(request: HttpRequest, slug: str) -> HttpResponse:
    """The widget's inside, framed by the sites that the operator listed and nobody else.

    Whoever is signed in to us on this browser is nobody here: in the widget a person is a visitor, or the
    user whom the site vouches for.
    """
    site = _site_or_404(slug)
    config = _chat_config(site, mode="frame") | {"user": None, "csrfToken": None, "conversation": None}
    response = render(request, "widget/frame.html", {"site": site, "config": config})
    response._csp_replace = {"frame-ancestors": services.frame_ancestors(site)}  # type: ignore[attr-defined]
    response["Cache-Control"] = "no-cache"
    return response


@require_safe
@cache_control(public=True, max_age=60)
def config(request: HttpRequest, slug: str) -> JsonResponse:
    """What the loader needs before the frame is there. Public: any page may read it."""
    response = JsonResponse(services.public_config(_site_or_404(slug)))
    response["Access-Control-Allow-Origin"] = "*"
    return response


@require_safe
@cache_control(public=True, max_age=300)
def loader(request: HttpRequest) -> HttpResponse:
    """`/widget.js`, at an address that stays the same over updates; browsers ask again by ETag."""
    path = finders.find("widget/widget.js")
    if path is None:
        raise Http404("static/widget/widget.js is missing: the checkout is not complete.")
    body = Path(path).read_bytes()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if request.headers.get("If-None-Match") == etag:
        return HttpResponseNotModified(headers={"ETag": etag})
    headers = {
        "ETag": etag,
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    return HttpResponse(body, content_type="text/javascript; charset=utf-8", headers=headers)


def _chat_config(site: Site, *, mode: str) -> dict[str, Any]:
    return services.public_config(site) | {"apiBase": "/api", "mode": mode, "language": get_language()}


def _snippet(request: HttpRequest, site: Site | None) -> str:
    base_url = request.build_absolute_uri("/")
    return services.embed_snippet(site, base_url=base_url) if site else ""


def _site_or_404(slug: str) -> Site:
    try:
        return services.get_site(slug)
    except services.SiteNotFound as error:
        raise Http404(str(error)) from None
