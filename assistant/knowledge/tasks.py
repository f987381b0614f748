"""Background work on knowledge: uploads from the console, and vectors that are still missing."""

from __future__ import annotations

from celery import Task, shared_task

from assistant.console import jobs
from assistant.knowledge import ingest, uploads
from inference.serving.client import EngineError


@shared_task(name="knowledge.ingest_upload", acks_late=True)
def ingest_upload(job_id: str) -> None:
    jobs.work(job_id, uploads.work)


@shared_task(name="knowledge.embed_missing", bind=True, acks_late=True, max_retries=20)
def embed_missing(self: Task) -> int:
    """Tried again every half minute until the engine answers."""
    try:
        return ingest.embed_missing()
    except EngineError as error:
        raise self.retry(exc=error, countdown=30) from error
