"""What the worker does for staff, and the schedule's tasks about jobs themselves. Logic is in services."""

from __future__ import annotations

from celery import shared_task

from assistant.console import exports, jobs, reindexing, retention, watchdog


@shared_task(acks_late=True)
def export_conversations(job_id: str) -> None:
    jobs.work(job_id, exports.write)


@shared_task(acks_late=True)
def reindex_collection(job_id: str) -> None:
    jobs.work(job_id, reindexing.work)


@shared_task(acks_late=True, soft_time_limit=25, time_limit=30)
def canary() -> None:
    watchdog.sing()


@shared_task(acks_late=True, soft_time_limit=55, time_limit=60)
def recover_jobs() -> int:
    return jobs.recover()


@shared_task(acks_late=True, soft_time_limit=590, time_limit=600)
def purge_jobs() -> int:
    return retention.purge()
