"""What the worker does for conversations. Each task calls one service and may run twice without harm."""

from __future__ import annotations

import asyncio

from celery import shared_task

from assistant.conversations import recovery, retention, titles


@shared_task(acks_late=True, soft_time_limit=110, time_limit=120)
def make_titles() -> int:
    return asyncio.run(titles.make_titles())


@shared_task(acks_late=True, soft_time_limit=880, time_limit=900)
def recover_turns() -> int:
    """Web processes take over from each other within seconds; this is for when none of them is left."""
    return asyncio.run(recovery.run_abandoned())


@shared_task(acks_late=True, soft_time_limit=1770, time_limit=1800)
def delete_old_conversations() -> int:
    return retention.delete_old()
