"""Jobs are claimed once, written only by their holder, sent again when lost, and end when they cannot."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from assistant.console import jobs, retention, tasks
from assistant.console.models import Job
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db


def make_job(**fields: object) -> Job:
    lease = timezone.now() + timedelta(seconds=60)
    values = {"kind": "test", "task": tasks.canary.name, "lease_until": lease} | fields
    return Job.objects.create(**values)  # type: ignore[arg-type]


def expire(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_second_claim_gets_nothing() -> None:
    job = make_job()
    assert jobs.claim(job.pk) is not None
    assert jobs.claim(job.pk) is None


def test_finished_job_is_not_done_again() -> None:
    job = make_job()
    jobs.work(job.pk, lambda claim: jobs.Result("first"))
    jobs.work(job.pk, lambda claim: jobs.Result("second"))
    assert Job.objects.get(pk=job.pk).message == "first"


def test_holder_that_was_overtaken_cannot_write(valkey: ValkeyServer) -> None:
    job = make_job()
    slow = jobs.claim(job.pk)
    assert slow is not None
    expire(job)
    assert jobs.recover() == 1
    assert jobs.claim(job.pk) is not None
    with pytest.raises(jobs.LeaseLost):
        slow.finish(jobs.Result("too late"))
    assert Job.objects.get(pk=job.pk).state == Job.State.RUNNING


def test_progress_renews_the_lease() -> None:
    job = make_job()
    claim = jobs.claim(job.pk)
    assert claim is not None
    expire(job)
    claim.progress(1, 10)
    assert jobs.recover() == 0
    assert Job.objects.get(pk=job.pk).num_total == 10


def test_error_fails_the_job_with_its_reason() -> None:
    job = make_job()

    def break_off(claim: jobs.Claim) -> jobs.Result:
        raise ValueError("the file is encrypted")

    jobs.work(job.pk, break_off)
    job.refresh_from_db()
    assert (job.state, job.message) == (Job.State.FAILED, "ValueError: the file is encrypted")


def test_job_that_kills_its_workers_is_given_up(valkey: ValkeyServer) -> None:
    job = make_job()
    for _attempt in range(jobs.MAX_ATTEMPTS):
        assert jobs.claim(job.pk) is not None
        expire(job)
        jobs.recover()
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    assert "3 times" in job.message


def test_waiting_job_whose_message_was_lost_is_sent_again(valkey: ValkeyServer) -> None:
    job = make_job()
    expire(job)
    assert jobs.recover() == 1
    assert jobs.recover() == 0


def test_old_exports_and_jobs_are_purged() -> None:
    import os

    old = timezone.now() - timedelta(days=retention.EXPORTS_KEPT_DAYS + 1)
    stale, fresh = retention.exports_folder() / "stale.csv", retention.exports_folder() / "fresh.csv"
    stale.write_text("")
    fresh.write_text("")
    os.utime(stale, (old.timestamp(), old.timestamp()))
    expired = make_job(state=Job.State.DONE, finished_at=old, result_path="stale.csv")
    ancient = make_job(state=Job.State.DONE, finished_at=timezone.now() - timedelta(days=91))
    assert retention.purge() == 1
    assert (stale.exists(), fresh.exists()) == (False, True)
    expired.refresh_from_db()
    assert expired.result_path == ""
    assert not Job.objects.filter(pk=ancient.pk).exists()
