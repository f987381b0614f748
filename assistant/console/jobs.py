"""Background jobs: begun once, claimed by one process at a time, finished once.

The row is the truth, the broker only carries its id. Whoever works on a job holds a lease that every
report of progress renews; each claim raises `num_attempts`, which is the fencing token, so that a
worker that was thought dead cannot write over its successor. `recover` sends again what lost its
worker or its message. Every Celery task that people can see uses `start` and `work`.
"""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from celery import current_app
from django.conf import settings
from django.db.models import F
from django.utils import timezone

from assistant.accounts.models import User
from assistant.console.models import Job

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
LONGEST_WAIT_S = 300  # a message that is not taken by then is presumed lost and sent again
REPORT_EVERY_S = 0.5


class LeaseLost(Exception):
    """Somebody else has the job now. Stop at once and write nothing more."""


class JobTask(Protocol):
    """A Celery task that takes the id of a job and nothing else."""

    name: str

    def delay_on_commit(self, job_id: str) -> None: ...


@dataclass(frozen=True)
class Result:
    """What came of a job: a sentence for people and, for exports, the file's name in the exports folder."""

    message: str = ""
    path: str = ""


@dataclass
class Claim:
    """The right to do one job, as long as its lease is renewed."""

    job: Job
    token: int
    reported_at: float = 0.0

    def progress(self, done: int, total: int | None = None, message: str | None = None) -> None:
        """Say how far it is, which also renews the lease. Cheap: at most two writes a second.

        Raises LeaseLost.
        """
        now = time.monotonic()
        if now - self.reported_at < REPORT_EVERY_S and done != total:
            return
        self.reported_at = now
        changes: dict[str, Any] = {"num_done": done, "lease_until": _lease_end()}
        if total is not None:
            changes["num_total"] = total
        if message is not None:
            changes["message"] = message
        self._write(**changes)

    def finish(self, result: Result) -> None:
        self._write(
            state=Job.State.DONE,
            message=result.message,
            result_path=result.path,
            num_done=F("num_total"),
            finished_at=timezone.now(),
        )

    def fail(self, message: str) -> None:
        self._write(state=Job.State.FAILED, message=message, finished_at=timezone.now())

    def _write(self, **changes: Any) -> None:
        held = Job.objects.filter(pk=self.job.pk, state=Job.State.RUNNING, num_attempts=self.token)
        if not held.update(**changes):
            raise LeaseLost(f"job {self.job.pk} was taken over after attempt {self.token}.")


def start(
    *, kind: str, task: JobTask, arguments: dict[str, Any] | None = None, created_by: User | None = None
) -> Job:
    """Save a job and send its task when the transaction commits; nothing is sent if it rolls back."""
    job = Job.objects.create(
        kind=kind,
        task=task.name,
        arguments=arguments or {},
        created_by=created_by,
        lease_until=timezone.now() + timedelta(seconds=LONGEST_WAIT_S),
    )
    task.delay_on_commit(str(job.pk))
    return job


def claim(job_id: str | uuid.UUID) -> Claim | None:
    """Take a waiting job. None when it is finished, gone, or somebody is at work on it."""
    waiting = Job.objects.filter(pk=job_id, state=Job.State.WAITING)
    if not waiting.update(
        state=Job.State.RUNNING, num_attempts=F("num_attempts") + 1, lease_until=_lease_end()
    ):
        return None
    job = Job.objects.get(pk=job_id)
    return Claim(job, job.num_attempts)


def work(job_id: str | uuid.UUID, do: Callable[[Claim], Result]) -> None:
    """Claim a job and do it. A redelivered message finds the claim taken and does nothing."""
    held = claim(job_id)
    if held is None:
        return
    try:
        held.finish(do(held))
    except LeaseLost as lost:
        logger.warning("%s", lost)
    except Exception as error:
        logger.exception("job %s (%s) failed", held.job.pk, held.job.kind)
        with contextlib.suppress(LeaseLost):
            held.fail(f"{type(error).__name__}: {error}"[:1000])


def recover() -> int:
    """Send again each job whose worker or message was lost; give up after MAX_ATTEMPTS. Returns how many."""
    now = timezone.now()
    unfinished = Job.objects.filter(state__in=[Job.State.WAITING, Job.State.RUNNING], lease_until__lt=now)
    num_sent = 0
    for job in unfinished:
        same = Job.objects.filter(pk=job.pk, state=job.state, lease_until=job.lease_until)
        if job.num_attempts >= MAX_ATTEMPTS:
            same.update(
                state=Job.State.FAILED,
                finished_at=now,
                message=f"Its worker died {job.num_attempts} times. See worker.log, then start it again.",
            )
        elif same.update(state=Job.State.WAITING, lease_until=now + timedelta(seconds=LONGEST_WAIT_S)):
            current_app.send_task(job.task, args=[str(job.pk)])
            num_sent += 1
    return num_sent


def _lease_end() -> datetime:
    return timezone.now() + timedelta(seconds=settings.JOB_LEASE_S)
