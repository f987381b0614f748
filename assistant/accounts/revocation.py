"""Ending what is already open: sockets of a session or principal that no longer holds.

A socket joins `group_names(...)` and closes with 4401 on the message {"type": "revoked"}. The channel
layer may drop a message, and nobody sends one when a token merely expires; so a socket also asks
`is_still_valid` every second or so, and `Principal.expires_at` says when it ends at the latest.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.contrib.auth import get_user
from django.db.models import Q
from django.utils import timezone
from redis import RedisError

from assistant.accounts.models import ApiKey, Visitor

if TYPE_CHECKING:
    from assistant.accounts.principals import Principal

log = logging.getLogger(__name__)


def group_names(principal: Principal, session_key: str | None) -> list[str]:
    """The channel-layer groups to join for this principal (and its session, when it came by one)."""
    names = [_principal_group(principal.key)]
    if principal.kind == "user" and session_key:
        names.append(_session_group(session_key))
    return names


def revoke_session(session_key: str) -> None:
    """Close what was opened with this session."""
    _send(_session_group(session_key))


def revoke_principal(principal_key: str) -> None:
    """Close everything of `user:12`, `visitor:…` or `api_key:…`. Who still holds may connect again."""
    _send(_principal_group(principal_key))


def is_still_valid(principal: Principal, session_key: str | None) -> bool:
    """Ask the database (2 short queries) whether this principal may go on."""
    if principal.expires_at is not None and principal.expires_at <= timezone.now():
        return False
    if principal.kind == "user":
        return _is_session_of(session_key, user_id=principal.id)
    if principal.kind == "visitor":
        return Visitor.objects.filter(pk=principal.id, user=None, site__is_active=True).exists()
    is_alive = Q(revoked_at=None) | Q(revoked_at__gt=timezone.now())
    return ApiKey.objects.filter(is_alive, pk=principal.id, site__is_active=True).exists()


def _is_session_of(session_key: str | None, *, user_id: str) -> bool:
    if not session_key:
        return False
    store = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    # Django's own check: the user is active and the password is the one the session was opened with.
    user = get_user(cast(Any, SimpleNamespace(session=store)))
    return user.is_authenticated and str(user.pk) == user_id


def _session_group(session_key: str) -> str:
    return f"session.{session_key}"


def _principal_group(principal_key: str) -> str:
    return f"principal.{principal_key.replace(':', '.')}"


def _send(group: str) -> None:
    layer = get_channel_layer()
    assert layer is not None
    send = partial(async_to_sync(layer.group_send), group, {"type": "revoked"})
    try:
        if _is_in_event_loop():
            with ThreadPoolExecutor(max_workers=1) as thread:
                thread.submit(send).result()
        else:
            send()
    except (RedisError, OSError) as error:
        # Signing out must not fail because Valkey is away: sockets find out by asking.
        log.warning("could not announce that %s was revoked: %s", group.split(".")[0], error)


def _is_in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
