"""Sites and what they hand out: configuration for the widget, the embed snippet, the identity secret."""

from __future__ import annotations

import re
import secrets as random
from typing import Any

from django.conf import settings
from django.utils.html import format_html
from django.utils.safestring import SafeString

from assistant import secrets
from assistant.widget.demo import create_demo_site
from assistant.widget.models import Site
from assistant.widget.origins import is_origin

__all__ = [
    "SiteNotFound",
    "create_demo_site",
    "default_site",
    "embed_snippet",
    "frame_ancestors",
    "get_site",
    "identity_secret",
    "public_config",
    "rotate_identity_secret",
]

SLUG = re.compile(r"[-a-zA-Z0-9_]{1,50}")
IDENTITY_PURPOSE = "site-identity"


class SiteNotFound(Exception):
    """There is no active site of this name."""


def get_site(slug: str) -> Site:
    """Raises SiteNotFound, also for a site that was switched off."""
    site = Site.objects.filter(slug=slug, is_active=True).first() if SLUG.fullmatch(slug) else None
    if site is None:
        raise SiteNotFound(f"There is no site {slug[:50]!a}, or it is switched off. Check the embed snippet.")
    return site


def default_site() -> Site | None:
    """The site of pages that name none: the oldest one that is switched on."""
    return Site.objects.filter(is_active=True).order_by("pk").first()


def public_config(site: Site) -> dict[str, Any]:
    """What anybody may know about a site: looks, words and languages, no secret and no origin list."""
    return {
        "slug": site.slug,
        "name": site.name,
        "scenario": site.scenario,
        "locale": site.default_locale,
        "color": site.color,
        "position": site.position,
        "greeting": site.greeting,
        "starters": site.starters,
    }


def frame_ancestors(site: Site) -> list[str]:
    """CSP sources that may frame this site's widget: our own origin and the listed ones."""
    return ["'self'", *(origin for origin in site.allowed_origins if is_origin(origin))]


def embed_snippet(site: Site, *, base_url: str = "") -> SafeString:
    """The two lines to paste into a page. `base_url` is where this server is reached."""
    base = (base_url or settings.PUBLIC_URL or f"http://localhost:{settings.ENV['PORT']}").rstrip("/")
    return format_html(
        '<script async src="{}/widget.js"></script>\n<parley-chat site="{}"></parley-chat>', base, site.slug
    )


def rotate_identity_secret(site: Site) -> str:
    """A new secret to sign the site's users with, shown this once. The old one ends at once."""
    secret = random.token_urlsafe(32)
    site.identity_secret = secrets.seal(secret, purpose=IDENTITY_PURPOSE)
    site.save(update_fields=["identity_secret"])
    return secret


def identity_secret(site: Site) -> str | None:
    """The opened secret, or None when the site has none. Raises CannotOpen when SECRET_KEY changed."""
    if not site.identity_secret:
        return None
    return secrets.open_sealed(site.identity_secret, purpose=IDENTITY_PURPOSE)
