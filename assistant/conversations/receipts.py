"""The receipt on an answer: which model, which cache, which rules and sources, how fast, at what cost."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from inference.serving.client import Finished

NO_CACHE: dict[str, Any] = {"tier": "none", "age_s": 0}


@dataclass
class Stopwatch:
    """Times of one turn, in milliseconds since it began to run."""

    started: float = field(default_factory=time.perf_counter)
    ttft_ms: float | None = None

    def elapsed_ms(self) -> float:
        return round((time.perf_counter() - self.started) * 1000, 1)

    def note_first_text(self) -> None:
        if self.ttft_ms is None:
            self.ttft_ms = self.elapsed_ms()


def make(
    *,
    watch: Stopwatch,
    policy_name: str,
    policy_version: int,
    citations: list[dict[str, Any]],
    finished: Finished | None = None,
    cache: dict[str, Any] | None = None,
    first_making: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """`first_making`: the receipt of the answer that the cache gave again; its model is this answer's."""
    timing = finished.timing if finished else (first_making or {})
    usage = finished.usage if finished else None
    return {
        "model": timing.get("model") or "",
        "quantization": timing.get("quantization") or "",
        "cache": cache or NO_CACHE,
        "policies": [policy_name],
        "policy_version": policy_version,
        "ttft_ms": watch.ttft_ms,
        "total_ms": watch.elapsed_ms(),
        "prompt_tokens": usage.prompt_tokens if usage else 0,
        "cached_tokens": usage.cached_tokens if usage else 0,
        "completion_tokens": usage.completion_tokens if usage else 0,
        "tokens_per_s": timing.get("decode_tokens_per_s") if finished else None,
        "finish_reason": finished.reason if finished else None,
        "sources": [{"title": c.get("title", ""), "url": c.get("url", "")} for c in citations],
    }
