"""One request on its way: what is known, what is computed, which blocks hold it.

Invariant between steps: `num_computed < num_known`; the difference is 1 while decoding.
"""

import os
import time
from dataclasses import dataclass, field

import torch

from inference.engine.request import FinishReason, Request, Usage


@dataclass(slots=True, eq=False)
class Sequence:
    """Mutable state of one request; only scheduler and engine write to it."""

    request: Request
    max_tokens: int
    tokens: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    num_computed: int = 0
    num_cached: int = 0
    num_preempted: int = 0
    is_cancelled: bool = False
    admitted_at: float | None = None
    first_token_at: float | None = None
    generator: torch.Generator | None = None

    @classmethod
    def begin(cls, request: Request, max_tokens: int) -> "Sequence":
        sequence = cls(request=request, max_tokens=max_tokens, tokens=list(request.prompt_ids))
        if not request.sampling.is_greedy:
            seed = request.sampling.seed
            sequence.generator = torch.Generator()
            sequence.generator.manual_seed(_fresh_seed() if seed is None else seed % 2**63)
        return sequence

    @property
    def num_known(self) -> int:
        return len(self.tokens)

    @property
    def num_generated(self) -> int:
        return len(self.tokens) - len(self.request.prompt_ids)

    @property
    def is_decoding(self) -> bool:
        return self.num_generated > 0 and self.num_computed == self.num_known - 1

    def append(self, token: int) -> FinishReason | None:
        """Take one sampled token; say whether it was the last. A stop id is not kept."""
        if self.first_token_at is None:
            self.first_token_at = time.perf_counter()
        if token in self.request.sampling.stop_ids:
            return "stop"
        self.tokens.append(token)
        return "length" if self.num_generated >= self.max_tokens else None

    def usage(self) -> Usage:
        now = time.perf_counter()
        admitted = self.admitted_at or now
        first = self.first_token_at or now
        return Usage(
            prompt_tokens=len(self.request.prompt_ids),
            cached_tokens=self.num_cached,
            completion_tokens=self.num_generated,
            prefill_ms=(first - admitted) * 1e3,
            decode_ms=(now - first) * 1e3,
        )


def _fresh_seed() -> int:
    return int.from_bytes(os.urandom(7), "big")
