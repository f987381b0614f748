"""What the engine process tells Prometheus. Counted from the pieces of each stream, so every backend
behind the same application is measured alike; the backend's own gauges are read when scraped.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from inference.serving.pieces import Finished, Piece, Token

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)
SECONDS_PER_TOKEN = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1)


class Gauges:
    """A collector that asks the backend for its present numbers, named `parley_engine_…`."""

    def __init__(self, read: Callable[[], Mapping[str, float]]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        for name, value in self._read().items():
            yield GaugeMetricFamily(f"parley_engine_{name}", name.replace("_", " "), value=value)


class Metrics:
    def __init__(self, read_gauges: Callable[[], Mapping[str, float]]) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(Gauges(read_gauges))
        self.requests = self._counter("requests", "Requests by route and outcome.", ("route", "outcome"))
        self.tokens = self._counter("tokens", "Tokens by kind: prompt, cached, completion.", ("kind",))
        self.prefix_hits = self._counter("prefix_hits", "Requests whose prompt was partly in the cache.")
        self.texts = self._counter("embedded_texts", "Texts that were embedded.")
        self.ttft = self._histogram("ttft_seconds", "From request to first token.", SECONDS)
        self.tpot = self._histogram("tpot_seconds", "Per output token after the first.", SECONDS_PER_TOKEN)

    def _counter(self, name: str, about: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"parley_engine_{name}", about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"parley_engine_{name}", about, buckets=buckets, registry=self.registry)

    def render(self) -> bytes:
        return generate_latest(self.registry)

    async def watch(
        self, pieces: AsyncGenerator[Piece, None], *, started: float
    ) -> AsyncGenerator[Piece, None]:
        """Pass the pieces on and count them. `started`: time.perf_counter() when the request came."""
        first: float | None = None
        outcome = "cancelled"
        try:
            async with contextlib.aclosing(pieces):
                async for piece in pieces:
                    if isinstance(piece, Token) and first is None:
                        first = time.perf_counter()
                        self.ttft.observe(first - started)
                    if isinstance(piece, Finished):
                        outcome = piece.reason
                        self._count(piece, since_first_s=time.perf_counter() - (first or started))
                    yield piece
        except Exception:
            outcome = "error"
            raise
        finally:
            self.requests.labels("chat", outcome).inc()

    def _count(self, end: Finished, *, since_first_s: float) -> None:
        usage = end.usage
        self.tokens.labels("prompt").inc(usage.prompt_tokens)
        self.tokens.labels("cached").inc(usage.cached_tokens)
        self.tokens.labels("completion").inc(usage.completion_tokens)
        if usage.cached_tokens:
            self.prefix_hits.inc()
        if usage.completion_tokens > 1:
            self.tpot.observe(since_first_s / (usage.completion_tokens - 1))
