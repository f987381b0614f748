"""Each filter of the list finds what it names and nothing else."""

from __future__ import annotations

import pytest

from assistant.console import selection
from assistant.safety.models import Verdict
from tests.assistant.console.conftest import Talk, make_talk
from tests.support.people import make_site

pytestmark = pytest.mark.django_db


@pytest.fixture
def other(talk: Talk) -> Talk:
    other = make_talk(
        make_site("blog"),
        text="怎样退货？",
        outcome="refused",
        feedback=-1,
        receipt={"model": "smol", "cache": {"tier": "exact"}},
    )
    other.conversation.scenario = "tutoring"
    other.conversation.save()
    Verdict.objects.filter(conversation_id=other.conversation.pk).update(action="block")
    return other


@pytest.mark.parametrize(
    "parameters",
    [
        {"q": "退货"},
        {"scenario": "tutoring"},
        {"verdict": "block"},
        {"feedback": "down"},
        {"outcome": "refused"},
        {"tier": "exact"},
        {"model": "smol"},
        {"q": "退货", "tier": "exact", "outcome": "refused", "updated_at_from": "2020-01-01"},
    ],
)
def test_filter_finds_the_one_it_names(talk: Talk, other: Talk, parameters: dict[str, str]) -> None:
    assert list(selection.select(parameters)) == [other.conversation]


def test_site_filter_is_the_lists_own_parameter(talk: Talk, other: Talk) -> None:
    assert list(selection.select({"site__id__exact": other.site.pk})) == [other.conversation]


def test_words_may_stand_in_different_messages(talk: Talk) -> None:
    assert list(selection.select({"q": "PARCEL way"})) == [talk.conversation]
    assert not selection.select({"q": "parcel nowhere"}).exists()


def test_days_bound_both_sides(talk: Talk) -> None:
    assert not selection.select({"updated_at_to": "2020-01-01"}).exists()
    assert not selection.select({"updated_at_from": "2999-01-01"}).exists()
