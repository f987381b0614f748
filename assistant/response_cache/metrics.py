"""Counters of the response cache."""

from prometheus_client import Counter, Histogram

LOOKUPS = Counter("parley_cache_lookups", "Lookups of the response cache", ["result"])
STORED = Counter("parley_cache_stored", "Answers kept by the response cache", ["scope"])
FORGOTTEN = Counter("parley_cache_forgotten", "Answers taken out of the response cache")
FLIGHTS = Counter("parley_flight_seats", "How askers of the same question were seated", ["role"])
LOOKUP_SECONDS = Histogram(
    "parley_cache_lookup_seconds",
    "Time of one lookup",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1),
)
