"""Jobs that only tests start: slow ones that say what they do in a file, so that it can be counted."""

from __future__ import annotations

import time
from pathlib import Path

from celery import shared_task

from assistant.console import jobs
from assistant.console.models import Job


@shared_task(acks_late=True)
def slow_job(job_id: str) -> None:
    jobs.work(job_id, _slowly)


@shared_task(acks_late=True)
def hasty_job(job_id: str) -> None:
    """Looks for its row by a plain read, which on SQLite does not wait for whoever is writing."""
    if Job.objects.filter(pk=job_id).exists():
        jobs.work(job_id, lambda claim: jobs.Result("found"))


def _slowly(claim: jobs.Claim) -> jobs.Result:
    """arguments: `log`, the file; `num_steps` of a fifth of a second each."""
    log, num_steps = Path(claim.job.arguments["log"]), claim.job.arguments["num_steps"]
    _say(log, f"began {claim.token}")
    for step in range(num_steps):
        time.sleep(0.2)
        claim.reported_at = 0.0
        claim.progress(step + 1, num_steps)
    _say(log, f"ended {claim.token}")
    return jobs.Result("done", "made-by-the-test")


def _say(log: Path, line: str) -> None:
    with log.open("a") as file:
        file.write(line + "\n")
