"""Is a browser's `Origin` our own?

A cookie travels with a websocket handshake from any page, so the Origin is what tells our page from a
foreign one. The widget's frame is served by us: inside it the Origin is our own as well.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

DEFAULT_PORTS = {"http": 80, "https": 443}


def is_own_origin(origin: str | None, host: str) -> bool:
    """True when `origin` names the host this request was sent to (its Host header), or PUBLIC_URL.

    False for an absent or `null` Origin, and for a host that ALLOWED_HOSTS does not list: a foreign
    name that was rebound to our address sends matching Origin and Host.
    """
    seen = _parts(origin or "")
    if seen is None:
        return False
    if settings.PUBLIC_URL and seen == _parts(settings.PUBLIC_URL):
        return True
    domain, _port = split_domain_port(host)
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        return False
    return seen == _parts(f"{seen[0]}://{host}")


def _parts(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return None
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
        return None
    return parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme]
