"""The figures of the first page, computed from the database: one row for each day of the chosen days.

Counts are aggregated in SQL in one pass; percentiles are taken in Python over the receipts' values,
because SQLite has no percentile. Both read the index on the messages' time. Kept for a minute, so that
a screen on the wall costs one computation a minute.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Q, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import TruncDate
from django.utils import timezone

from assistant.conversations.models import Message

MAX_DAYS = 366
KEPT_S = 60
ABSENT = (None, "null")  # SQLite gives JSON's null as a word


@dataclass(frozen=True)
class Day:
    """Rates are 0..1, times in milliseconds; None where nothing was measured that day."""

    day: date
    num_questions: int = 0
    num_answers: int = 0
    num_refused: int = 0
    num_blocked: int = 0
    num_failed: int = 0
    num_hits: int = 0
    num_up: int = 0
    num_down: int = 0
    ttft_p50_ms: float | None = None
    ttft_p95_ms: float | None = None
    tokens_per_s: float | None = None

    @property
    def hit_rate(self) -> float | None:
        return self.num_hits / self.num_answers if self.num_answers else None

    @property
    def refusal_rate(self) -> float | None:
        return self.num_refused / self.num_answers if self.num_answers else None


@dataclass(frozen=True)
class Report:
    since: date
    until: date
    days: list[Day] = field(default_factory=list)
    total: Day = field(default_factory=lambda: Day(date.min))

    @property
    def is_empty(self) -> bool:
        return self.total.num_questions == 0 and self.total.num_answers == 0


def report(*, since: date, until: date, site_id: int | None = None) -> Report:
    """Figures for each day from `since` to `until` (both included, at most MAX_DAYS), and for them all."""
    since = max(since, until - timedelta(days=MAX_DAYS - 1))
    key = f"console:statistics:{since}:{until}:{site_id}:{timezone.get_current_timezone_name()}"
    found: Report | None = cache.get(key)
    if found is None:
        found = _compute(since, until, site_id)
        cache.set(key, found, KEPT_S)
    return found


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile of sorted values: a value that was really measured."""
    if not values:
        return None
    rank = max(1, -(-len(values) * round(share * 1000) // 1000))
    return values[rank - 1]


def _compute(since: date, until: date, site_id: int | None) -> Report:
    messages = _messages(since, until, site_id)
    counts = {row.pop("day"): row for row in _counts(messages)}
    timings = _timings(messages)
    days = [
        _day(since + timedelta(days=offset), counts, timings) for offset in range((until - since).days + 1)
    ]
    return Report(since, until, days, _total(since, days, timings.values()))


def _messages(since: date, until: date, site_id: int | None) -> QuerySet[Message]:
    start = timezone.make_aware(datetime.combine(since, time.min))
    end = timezone.make_aware(datetime.combine(until + timedelta(days=1), time.min))
    messages = Message.objects.filter(created_at__gte=start, created_at__lt=end).order_by()
    return messages if site_id is None else messages.filter(conversation__site_id=site_id)


def _counts(messages: QuerySet[Message]) -> Any:
    answer = Q(role=Message.Role.ASSISTANT)
    hit = answer & (Q(receipt__cache__tier="exact") | Q(receipt__cache__tier="flight"))
    rows = messages.annotate(day=TruncDate("created_at")).values("day")
    return rows.annotate(
        num_questions=Count("pk", filter=Q(role=Message.Role.USER)),
        num_answers=Count("pk", filter=answer),
        num_refused=Count("pk", filter=answer & Q(outcome=Message.Outcome.REFUSED)),
        num_blocked=Count("pk", filter=answer & Q(outcome=Message.Outcome.BLOCKED)),
        num_failed=Count("pk", filter=answer & Q(outcome=Message.Outcome.ERROR)),
        num_hits=Count("pk", filter=hit),
        num_up=Count("pk", filter=answer & Q(feedback=1)),
        num_down=Count("pk", filter=answer & Q(feedback=-1)),
    )


Timings = dict[str, list[float]]


def _timings(messages: QuerySet[Message]) -> dict[date, Timings]:
    """Times to the first token and decode speeds of each day, as measured."""
    measured = messages.filter(role=Message.Role.ASSISTANT).annotate(
        day=TruncDate("created_at"), ttft=KT("receipt__ttft_ms"), speed=KT("receipt__tokens_per_s")
    )
    found: dict[date, Timings] = defaultdict(lambda: {"ttft": [], "speed": []})
    for day, ttft, speed in measured.values_list("day", "ttft", "speed").iterator(chunk_size=5000):
        timings = found[day]
        for name, value in (("ttft", ttft), ("speed", speed)):
            if value not in ABSENT:
                timings[name].append(float(value))
    return found


def _day(day: date, counts: dict[date, dict[str, Any]], timings: dict[date, Timings]) -> Day:
    return Day(day, **counts.get(day, {}), **_summary([timings[day]] if day in timings else []))


def _total(since: date, days: list[Day], timings: Iterable[Timings]) -> Day:
    names = [name for name in asdict(Day(since)) if name.startswith("num_")]
    sums = {name: sum(getattr(day, name) for day in days) for name in names}
    return Day(since, **sums, **_summary(list(timings)))


def _summary(timings: list[Timings]) -> dict[str, Any]:
    ttft = sorted(value for part in timings for value in part["ttft"])
    speed = sorted(value for part in timings for value in part["speed"])
    return {
        "ttft_p50_ms": percentile(ttft, 0.5),
        "ttft_p95_ms": percentile(ttft, 0.95),
        "tokens_per_s": percentile(speed, 0.5),
    }
