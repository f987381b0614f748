"""The canary says whether the worker works; the command says it to the supervisor."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from assistant.console import tasks, watchdog
from assistant.console.models import Job
from assistant.redis import get_redis
from chatbot.celery import app
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db


def sang(seconds_ago: float) -> None:
    get_redis().set(watchdog.KEY, repr(time.time() - seconds_ago))


def test_fresh_song_means_alive(valkey: ValkeyServer) -> None:
    tasks.canary()
    assert watchdog.check(max_age_s=60).is_alive


@pytest.mark.parametrize("age_s", [None, 61.0])
def test_silence_means_restart(valkey: ValkeyServer, age_s: float | None) -> None:
    if age_s:
        sang(age_s)
    with pytest.raises(SystemExit) as exit_:
        call_command("canary", max_age=60)
    assert exit_.value.code == 1


def test_worker_busy_with_a_job_that_makes_progress_is_left_alone(valkey: ValkeyServer) -> None:
    sang(300)
    Job.objects.create(
        kind="test", state=Job.State.RUNNING, lease_until=timezone.now() + timedelta(seconds=30)
    )
    call_command("canary", max_age=60)


def test_worker_is_not_blamed_for_a_dead_valkey(valkey: ValkeyServer) -> None:
    valkey.stop()
    assert watchdog.check(max_age_s=60).is_alive


def test_everything_on_the_schedule_is_a_task() -> None:
    app.loader.import_default_modules()
    planned = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert planned <= set(app.tasks)


def test_every_task_of_ours_can_be_sent() -> None:
    """A hard limit below the common soft limit is refused only when the task is sent."""
    app.loader.import_default_modules()
    soft = settings.CELERY_TASK_SOFT_TIME_LIMIT
    for name, task in app.tasks.items():
        if name.startswith(("assistant.", "knowledge.")) and task.time_limit is not None:
            assert (task.soft_time_limit or soft) <= task.time_limit, name
