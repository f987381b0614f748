"""Encryption at rest for what only its owner may read: placeholders' values, sites' signing keys.

Keys are derived from SECRET_KEY, one for each purpose, so that text sealed for one cannot be opened
as another.
"""

from __future__ import annotations

import base64
import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class CannotOpen(Exception):
    """The sealed bytes were altered, or SECRET_KEY is not the one they were sealed with."""


@lru_cache(maxsize=16)
def _cipher(secret_key: str, purpose: str) -> Fernet:
    derived = HKDF(SHA256(), 32, salt=b"parley", info=purpose.encode()).derive(secret_key.encode())
    return Fernet(base64.urlsafe_b64encode(derived))


def seal(value: Any, *, purpose: str) -> bytes:
    """Encrypt a JSON value."""
    return _cipher(settings.SECRET_KEY, purpose).encrypt(json.dumps(value).encode())


def open_sealed(sealed: bytes | memoryview, *, purpose: str) -> Any:
    """The JSON value that `seal` got. Raises CannotOpen."""
    try:
        return json.loads(_cipher(settings.SECRET_KEY, purpose).decrypt(bytes(sealed)))
    except InvalidToken:
        raise CannotOpen(
            f"sealed {purpose} cannot be opened: restore the SECRET_KEY it was sealed with."
        ) from None
