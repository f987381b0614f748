"""How much one principal may take: open sockets, frames a second, questions a minute.

Sockets and frames are counted in this process, whose memory they cost; questions in Valkey for all
processes together, because they cost the model.
"""

from __future__ import annotations

import time
from collections import Counter

from assistant.accounts import rate_limits
from assistant.conversations.errors import TooOften

MAX_SOCKETS = 12
MAX_QUESTIONS_PER_MINUTE = 30
# Frames a second in the long run, and at once. Acknowledgements come as fast as events do.
FRAMES_PER_S, FRAMES_BURST = 15.0, 60.0
ACKS_PER_S, ACKS_BURST = 150.0, 300.0

_sockets: Counter[str] = Counter()


class Bucket:
    """A token bucket of one socket."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._tokens, self._filled_at = burst, time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_s)
        self._filled_at = now
        self._tokens -= 1
        return self._tokens >= 0


def open_socket(principal_key: str) -> bool:
    """Count a socket of this principal; False (and not counted) when there are too many."""
    if _sockets[principal_key] >= MAX_SOCKETS:
        return False
    _sockets[principal_key] += 1
    return True


def close_socket(principal_key: str) -> None:
    _sockets[principal_key] -= 1
    if _sockets[principal_key] <= 0:
        del _sockets[principal_key]


def take_question(principal_key: str) -> None:
    """Count a question. Raises TooOften."""
    try:
        rate_limits.take(bucket="question", key=principal_key, max_per_minute=MAX_QUESTIONS_PER_MINUTE)
    except rate_limits.RateLimited as error:
        raise TooOften(str(error), retry_after_s=error.retry_after_s) from None
