"""The figures of the first page, counted by hand on a few messages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from assistant.console import statistics
from assistant.conversations.models import Message
from tests.assistant.console.conftest import Talk, make_talk
from tests.support.people import make_site

pytestmark = pytest.mark.django_db


def report(days: int = 7, **kwargs: int) -> statistics.Report:
    today = timezone.localdate()
    return statistics.report(since=today - timedelta(days=days - 1), until=today, **kwargs)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([7.0], 0.95, 7.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),
        (list(map(float, range(1, 101))), 0.95, 95.0),
    ],
)
def test_percentile_is_a_measured_value(values: list[float], share: float, expected: float | None) -> None:
    assert statistics.percentile(values, share) == expected


def test_day_counts_questions_hits_refusals_and_feedback() -> None:
    site = make_site("shop")
    make_talk(site, feedback=1)
    make_talk(site, feedback=-1, outcome="refused", receipt={"cache": {"tier": "exact"}, "ttft_ms": 2})
    make_talk(site, receipt={"cache": {"tier": "none"}, "ttft_ms": 900, "tokens_per_s": None})
    today = report().days[-1]
    assert (today.num_questions, today.num_answers, today.num_refused) == (3, 3, 1)
    assert (today.num_up, today.num_down) == (1, 1)
    assert today.hit_rate == pytest.approx(1 / 3)
    assert (today.ttft_p50_ms, today.ttft_p95_ms, today.tokens_per_s) == (400, 900, 30)


def test_messages_fall_on_their_own_day_and_others_are_left_out(talk: Talk) -> None:
    now = timezone.now()
    Message.objects.filter(pk=talk.question.pk).update(created_at=now - timedelta(days=2))
    Message.objects.filter(pk=talk.answer.pk).update(created_at=now - timedelta(days=9))
    found = report()
    assert [day.num_questions for day in found.days] == [0, 0, 0, 0, 1, 0, 0]
    assert found.total.num_answers == 0


def test_site_is_counted_alone(talk: Talk) -> None:
    make_talk(make_site("blog"))
    assert report(site_id=talk.site.pk).total.num_questions == 1


def test_nothing_asked_is_an_empty_report(db: None) -> None:
    assert report().is_empty
