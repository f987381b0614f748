"""Is the worker alive? A task that beat sends every 15 s says so; nothing else proves it.

A worker can answer pings and still take no work after its broker connection was reset, so only a task
that went the whole way counts. A single long job keeps the canary waiting, therefore a job whose lease
is being renewed counts as a sign of life too. `manage.py canary` asks; the supervisor acts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.utils import timezone
from redis import RedisError

from assistant.console.models import Job
from assistant.redis import get_redis

KEY = "canary:worker"
KEPT_S = 86_400


@dataclass(frozen=True)
class Health:
    """`age_s`: seconds since the last sign of life; None: there was none in a day."""

    is_alive: bool
    age_s: float | None
    reason: str


def sing() -> None:
    """Called by the canary task, inside the worker."""
    get_redis().set(KEY, repr(time.time()), ex=KEPT_S)


def last_song_age_s() -> float | None:
    sung: bytes | None = get_redis().get(KEY)  # type: ignore[assignment]
    return None if sung is None else max(0.0, time.time() - float(sung))


def check(*, max_age_s: float) -> Health:
    """Whether the worker did anything in the last `max_age_s` seconds.

    Without Valkey nothing can be said of the worker, and restarting it would not help: alive.
    """
    try:
        age_s = last_song_age_s()
    except RedisError as error:
        return Health(True, None, f"Valkey does not answer ({error}); the worker cannot be judged.")
    if age_s is not None and age_s <= max_age_s:
        return Health(True, age_s, f"The canary sang {age_s:.0f} s ago.")
    if Job.objects.filter(state=Job.State.RUNNING, lease_until__gt=timezone.now()).exists():
        return Health(True, age_s, "The canary waits for a job that is making progress.")
    seen = "never sang" if age_s is None else f"sang {age_s:.0f} s ago"
    return Health(False, age_s, f"The canary {seen}, more than {max_age_s:.0f} s: restart the worker.")


def is_canary_silent(*, max_age_s: float = 60.0) -> bool:
    """What the supervisor asks before it restarts the worker."""
    return not check(max_age_s=max_age_s).is_alive
