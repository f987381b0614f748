"""Which rules hold for a site and scenario, and how they change.

An edit makes a new version and keeps the old ones. Versions count over all policies together, so that
a number alone names the rules an answer was made under. Version 0: the defaults of `rules.py`.
An edit is seen at once in the process that made it and within CACHE_S seconds in every other.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.db.models import Max, Q

from assistant.safety.models import Policy
from assistant.safety.rules import Rules, default_rules, parse

if TYPE_CHECKING:
    from assistant.accounts.models import User
    from assistant.widget.models import Site

CACHE_S = 2.0


@dataclass(frozen=True)
class Effective:
    """The rules that hold, their version, and the name a receipt shows."""

    rules: Rules
    version: int = 0
    name: str = "default"


_cached: dict[tuple[int | None, str], tuple[float, Effective]] = {}


def effective(*, site: Site | None, scenario: str) -> Effective:
    """The most particular active policy (site and scenario, site, scenario, all), else the defaults."""
    key = (site.pk if site else None, scenario)
    known = _cached.get(key)
    if known and known[0] > time.monotonic():
        return known[1]
    found = _read(*key)
    _cached[key] = (time.monotonic() + CACHE_S, found)
    return found


def forget_cached() -> None:
    _cached.clear()


def _read(site_id: int | None, scenario: str) -> Effective:
    candidates = Policy.objects.filter(
        Q(site_id=site_id) | Q(site=None), Q(scenario=scenario) | Q(scenario=""), is_active=True
    ).select_related("site")
    policy = max(
        candidates,
        key=lambda policy: (policy.site_id is not None, policy.scenario != "", policy.version),
        default=None,
    )
    if policy is None:
        return Effective(default_rules())
    place = f"{policy.site.slug if policy.site else '*'}/{policy.scenario or '*'}"
    return Effective(parse(policy.rules), policy.version, f"{place} v{policy.version}")


def publish(
    *,
    site: Site | None,
    scenario: str,
    rules: Mapping[str, Any],
    by: User | None,
    note: str = "",
) -> Policy:
    """Make these rules the active ones of this place. Raises RulesInvalid; changes nothing then."""
    parse(dict(rules))
    for attempt in range(5):
        try:
            return _publish(site=site, scenario=scenario, rules=dict(rules), by=by, note=note)
        except IntegrityError:  # another editor took the number
            if attempt == 4:
                raise
    raise AssertionError("unreachable")


@transaction.atomic
def _publish(
    *, site: Site | None, scenario: str, rules: dict[str, Any], by: User | None, note: str
) -> Policy:
    last = Policy.objects.aggregate(last=Max("version"))["last"] or 0
    Policy.objects.filter(site=site, scenario=scenario, is_active=True).update(is_active=False)
    policy = Policy.objects.create(
        site=site, scenario=scenario, rules=rules, version=last + 1, created_by=by, note=note
    )
    transaction.on_commit(forget_cached)
    return policy


@transaction.atomic
def withdraw(*, site: Site | None, scenario: str) -> int:
    """Go back to the next more general policy, or to the defaults. Returns how many were active."""
    count = Policy.objects.filter(site=site, scenario=scenario, is_active=True).update(is_active=False)
    transaction.on_commit(forget_cached)
    return count
