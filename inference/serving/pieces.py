"""What a chat stream consists of, the same on both sides of the socket.

A stream is any number of `Queued`, then any number of `Token`, then one `Finished`. Failures are
exceptions, never pieces.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Queued:
    """The request waits. `place` counts from 1; the wait is an estimate from recent answers."""

    place: int
    expected_wait_s: float


@dataclass(frozen=True)
class Token:
    """Some text: one token or several, always whole characters."""

    text: str


@dataclass(frozen=True)
class Usage:
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Finished:
    """The end. `reason` is "stop" or "length"; `timing` has ttft_ms, decode_tokens_per_s, queued_ms,
    model and quantization as far as the upstream tells them."""

    reason: str
    usage: Usage = Usage()
    timing: dict[str, Any] = field(default_factory=dict)


Piece = Queued | Token | Finished
