"""Where a request comes from, when proxies stand in front.

`X-Forwarded-For` is a list that every proxy extends on the right; only its last TRUSTED_PROXIES entries
were written by machines that the operator runs. With 0 the header is never read. `ClientAddress` (see
`middleware`) writes the result into REMOTE_ADDR, so that no library reads the header on its own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from django.conf import settings

UNKNOWN = "0.0.0.0"  # noqa: S104  a peer on a unix socket has no address


def client_address(meta: Mapping[str, Any]) -> str:
    """The client's IP address from a WSGI-style mapping (`request.META`)."""
    return _resolve(str(meta.get("REMOTE_ADDR") or ""), str(meta.get("HTTP_X_FORWARDED_FOR") or ""))


def client_address_of_scope(scope: Mapping[str, Any]) -> str:
    """The client's IP address from an ASGI scope (a websocket's)."""
    peer = (scope.get("client") or [""])[0] or ""
    forwarded = [value for name, value in scope.get("headers", []) if name.lower() == b"x-forwarded-for"]
    return _resolve(peer, b",".join(forwarded).decode("latin-1"))


def _resolve(peer: str, forwarded: str) -> str:
    hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
    num_trusted = settings.TRUSTED_PROXIES
    # Fewer entries than proxies: the request did not come the way the operator described.
    if num_trusted and len(hops) >= num_trusted:
        peer = hops[-num_trusted]
    try:
        return str(ipaddress.ip_address(peer))
    except ValueError:
        return UNKNOWN
