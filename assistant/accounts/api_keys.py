"""Keys of programs: made in the console, shown once, kept as a hash, revocable, rate-limited.

A key is 256 random bits, so an unsalted SHA-256 is enough: there is nothing to guess. Its first
characters are stored as well, to find the row and to tell keys apart on the screen.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import timedelta

from django.utils import timezone

from assistant.accounts import rate_limits
from assistant.accounts.errors import NotAuthenticated
from assistant.accounts.models import ApiKey, User
from assistant.widget.models import Site

PREFIX_LENGTH = 12
TEXT = re.compile(r"pk_[A-Za-z0-9_-]{40,60}")
LAST_USED_EVERY = timedelta(minutes=1)  # not a write for each request
_REFUSAL = "The API key is not known, or was revoked. Make one in the console."


def make(
    *,
    name: str,
    site: Site,
    created_by: User | None,
    scenario: str = "support",
    max_requests_per_minute: int = 60,
) -> tuple[ApiKey, str]:
    """A new key and its text. Nobody can show the text again."""
    text = f"pk_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        name=name,
        prefix=text[:PREFIX_LENGTH],
        key_hash=hash_of(text),
        site=site,
        scenario=scenario,
        created_by=created_by,
        max_requests_per_minute=max_requests_per_minute,
    )
    return key, text


def authenticate(text: str) -> ApiKey:
    """The key with this text. Raises NotAuthenticated; does not count against its rate limit."""
    if not TEXT.fullmatch(text):
        raise NotAuthenticated(_REFUSAL)
    key = ApiKey.objects.select_related("site").filter(prefix=text[:PREFIX_LENGTH]).first()
    seen = hash_of(text)
    is_same = hmac.compare_digest(seen, key.key_hash if key else "0" * 64)
    if key is None or not is_same or key.revoked_at is not None or not key.site.is_active:
        raise NotAuthenticated(_REFUSAL)
    _note_use(key)
    return key


def take_request(key: ApiKey) -> None:
    """Count one request against the key's limit. Raises RateLimited."""
    rate_limits.take(bucket="api-key", key=str(key.pk), max_per_minute=key.max_requests_per_minute)


def revoke(key: ApiKey) -> None:
    """End the key. Its open connections are told by the signal on the row."""
    if key.revoked_at is None:
        key.revoked_at = timezone.now()
        key.save(update_fields=["revoked_at"])


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _note_use(key: ApiKey) -> None:
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at > LAST_USED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
        key.last_used_at = now
