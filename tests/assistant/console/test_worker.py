"""Jobs on a real worker and a real broker: killed, redelivered, rolled back, cut off."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection, transaction

from assistant.console import jobs, tasks, watchdog
from assistant.console.models import Job
from assistant.redis import get_redis
from tests.support.valkey import ValkeyServer
from tests.support.worker import Worker, wait_for
from tests.support.worker_tasks import hasty_job, slow_job

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def worker(django_db_setup: None) -> Iterator[Worker]:
    """One for all tests of this file, for it takes seconds to start. The broker is not emptied meanwhile."""
    worker = Worker()
    worker.start()
    yield worker
    worker.kill()


def begin(log: Path, *, num_steps: int = 1) -> Job:
    return jobs.start(kind="test", task=slow_job, arguments={"log": str(log), "num_steps": num_steps})


def state_of(job: Job) -> str:
    return Job.objects.get(pk=job.pk).state


def test_nothing_is_sent_when_the_transaction_rolls_back(valkey: ValkeyServer, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        begin(tmp_path / "log")
        raise ZeroDivisionError
    assert Job.objects.count() == 0
    assert get_redis().llen("default") == 0


def test_job_of_a_killed_worker_is_finished_once_by_the_next(worker: Worker, tmp_path: Path) -> None:
    log = tmp_path / "log"
    job = begin(log, num_steps=20)
    wait_for(lambda: log.exists(), timeout_s=20, what="the job to begin")
    worker.kill()
    worker.start()

    def is_done() -> bool:
        tasks.recover_jobs.delay()  # as beat does
        time.sleep(0.5)
        return state_of(job) == Job.State.DONE

    wait_for(is_done, timeout_s=40, what="the job to be finished")
    assert log.read_text().splitlines() == ["began 1", "began 2", "ended 2"]
    assert Job.objects.get(pk=job.pk).result_path == "made-by-the-test"


def test_job_delivered_five_times_runs_once(worker: Worker, tmp_path: Path) -> None:
    log = tmp_path / "log"
    job = begin(log, num_steps=2)
    for _again in range(4):
        slow_job.delay(str(job.pk))
    last = begin(tmp_path / "last")
    wait_for(lambda: state_of(last) == Job.State.DONE, timeout_s=20, what="all messages to be taken")
    assert log.read_text().splitlines() == ["began 1", "ended 1"]


def test_a_hundred_jobs_made_in_transactions_all_find_their_rows(worker: Worker) -> None:
    """A message that overtakes its row finds nothing and is dropped; then its job would stay waiting."""

    def create(number: int) -> None:
        with transaction.atomic():
            jobs.start(kind=f"test {number}", task=hasty_job)
            time.sleep(0.04)
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(create, range(100)))
    done = Job.objects.filter(state=Job.State.DONE)
    wait_for(lambda: done.count() == 100, timeout_s=60, what="a hundred jobs")


def test_worker_takes_tasks_again_after_its_connections_were_reset(worker: Worker) -> None:
    tasks.canary.delay()
    wait_for(lambda: watchdog.last_song_age_s() is not None, timeout_s=20, what="the first song")
    for _cut in range(5):
        get_redis().client_kill_filter(_type="normal", skipme=True)
        time.sleep(0.6)
    get_redis().delete(watchdog.KEY)
    tasks.canary.delay()
    wait_for(lambda: watchdog.last_song_age_s() is not None, timeout_s=30, what="a song after the resets")
