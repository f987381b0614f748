"""The right to write a turn's answer: a lease that is renewed, and a fencing token that only grows.

Whoever holds the current token may write; a process that was thought dead and comes back holds an old
one, and its writes change nothing. All writes of a running turn go through `write`.
"""

from __future__ import annotations

import os
import socket
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.utils import timezone

from assistant.conversations.models import Turn

LEASE_S = 4.0
RENEW_S = 1.0
MAX_ATTEMPTS = 3
ACTIVE = (Turn.State.QUEUED, Turn.State.RUNNING)
OWNER = f"{socket.gethostname()[:30]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


class LeaseLost(Exception):
    """Somebody else has this turn now, or it is finished. Stop at once and write nothing more."""


def end() -> datetime:
    return timezone.now() + timedelta(seconds=LEASE_S)


def write(turn_id: uuid.UUID, token: int, **changes: Any) -> None:
    """Change a running turn and renew the lease. Raises LeaseLost."""
    values = {"lease_until": end(), **changes}
    if not Turn.objects.filter(pk=turn_id, fencing_token=token, state__in=ACTIVE).update(**values):
        raise LeaseLost(f"turn {turn_id} was finished or taken over after token {token}.")


def give_up(turn_id: uuid.UUID, token: int) -> None:
    """Let somebody else take the turn at once. For a process that is about to end."""
    held = Turn.objects.filter(pk=turn_id, fencing_token=token, state__in=ACTIVE)
    held.update(lease_until=timezone.now(), lease_owner="")


def lapsed() -> list[tuple[uuid.UUID, int]]:
    """(turn, fencing token) of the turns whose holder has gone silent, oldest first."""
    turns = Turn.objects.filter(state__in=ACTIVE, lease_until__lt=timezone.now()).order_by("created_at")
    return list(turns.values_list("pk", "fencing_token")[:50])


def take_over(turn_id: uuid.UUID, token: int) -> int | None:
    """Claim a lapsed turn; the new token, or None when another was faster."""
    taken = Turn.objects.filter(
        pk=turn_id, fencing_token=token, state__in=ACTIVE, lease_until__lt=timezone.now()
    ).update(
        fencing_token=F("fencing_token") + 1,
        num_attempts=F("num_attempts") + 1,
        lease_owner=OWNER,
        lease_until=end(),
    )
    return token + 1 if taken else None
