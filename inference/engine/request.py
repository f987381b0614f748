"""What goes into the engine and what comes out: token ids, never text.

Glossary: a *request* asks for a continuation of `prompt_ids`; *known* tokens are prompt plus generated
ones; a *delta* is what one step added to one request. Stop ids end a sequence and are not delivered.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from inference.engine.errors import RequestRefused

FinishReason = Literal["stop", "length", "cancelled", "error"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. `temperature` 0 means greedy; `seed` None means a fresh one.

    `repetition_penalty` divides positive and multiplies negative logits of every token already in
    prompt or answer (CTRL, arXiv:1909.05858); 1.0 switches it off.
    Raises RequestRefused("invalid_request").
    """

    max_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop_ids: frozenset[int] = frozenset()
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        self._require("max_tokens", self.max_tokens, 1, 1_000_000)
        self._require("temperature", self.temperature, 0.0, 100.0)
        self._require("top_p", self.top_p, 0.0, 1.0)
        self._require("repetition_penalty", self.repetition_penalty, 0.01, 100.0)
        if self.top_p == 0.0:
            raise RequestRefused("invalid_request", "top_p is 0: no token would be left. Use temperature 0.")

    @staticmethod
    def _require(name: str, value: float, low: float, high: float) -> None:
        if not (math.isfinite(value) and low <= value <= high):
            raise RequestRefused(
                "invalid_request", f"{name} is {value!r}; it must be a number from {low} to {high}."
            )

    @property
    def is_greedy(self) -> bool:
        return self.temperature == 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt to continue. Prefix blocks are shared only between requests of the same `salt`."""

    id: str
    prompt_ids: list[int]
    sampling: Sampling = field(default_factory=Sampling)
    salt: str = ""

    def __post_init__(self) -> None:
        if not self.prompt_ids:
            raise RequestRefused("invalid_request", "The prompt holds no tokens; send at least one.")


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts and times of one finished request; `prefill_ms` runs from admission to first token."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    prefill_ms: float
    decode_ms: float


@dataclass(frozen=True, slots=True)
class Delta:
    """What one step added to one request. `usage` comes with the last delta, that with a reason."""

    request_id: str
    token_ids: list[int]
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
