"""Accounts' part of the schedule."""

from __future__ import annotations

from celery import shared_task

from assistant.accounts import housekeeping


@shared_task(acks_late=True, soft_time_limit=290, time_limit=300)
def forget_expired() -> dict[str, int]:
    return housekeeping.forget_expired()
