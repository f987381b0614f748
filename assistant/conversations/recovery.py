"""Turns whose process died: claimed by whoever comes first, given up after a few attempts."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from assistant.conversations import leases, loading
from assistant.conversations.database import in_database
from assistant.conversations.models import Message, Turn

# A lease that lapsed so long ago: there is no web process that would have seen it.
ABANDONED_S = 20


def claim_lapsed() -> list[tuple[uuid.UUID, int]]:
    """(turn, new token) of the turns that are now ours. What failed too often is finished instead."""
    claimed = []
    for turn_id, token in leases.lapsed():
        new_token = leases.take_over(turn_id, token)
        if new_token is None:
            continue
        if Turn.objects.values_list("num_attempts", flat=True).get(pk=turn_id) > leases.MAX_ATTEMPTS:
            give_up(turn_id, new_token)
        else:
            claimed.append((turn_id, new_token))
    return claimed


async def run_abandoned() -> int:
    """Run here, in a worker, what no web process has taken up for long. Returns how many turns."""
    from assistant.conversations.runner import get_runner  # the runner claims through this module

    if not await in_database(has_abandoned):
        return 0
    runner = get_runner()
    num_taken = await runner.take_over()
    await runner.wait_idle()
    await runner.close()
    return num_taken


def has_abandoned() -> bool:
    limit = timezone.now() - timedelta(seconds=ABANDONED_S)
    return Turn.objects.filter(state__in=leases.ACTIVE, lease_until__lt=limit).exists()


@transaction.atomic
def give_up(turn_id: uuid.UUID, token: int) -> None:
    """Finish a turn as interrupted: it took its process with it too often, or nobody is there to run it."""
    turn = Turn.objects.get(pk=turn_id)
    epoch = loading.next_epoch(turn.conversation_id)
    leases.write(
        turn_id,
        token,
        state=Turn.State.INTERRUPTED,
        finished_at=timezone.now(),
        epoch=epoch,
        saved_seq=1,
        lease_until=None,
    )
    Message.objects.filter(pk=turn.answer_id).update(
        state=Message.State.INTERRUPTED, outcome=Message.Outcome.ERROR
    )
