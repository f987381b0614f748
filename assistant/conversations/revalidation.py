"""Asks every second or so whether the people behind open sockets still hold: one database hop for all.

Revocations are announced over the channel layer at once; this finds what an announcement missed, and what
merely expired.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable
from dataclasses import dataclass

from django.db import DatabaseError

from assistant.accounts import revocation
from assistant.accounts.principals import Principal
from assistant.conversations.database import in_database

log = logging.getLogger(__name__)
EVERY_S = 1.5


@dataclass(eq=False)
class Watched:
    principal: Principal
    session_key: str | None
    on_revoked: Callable[[], None]


class Revalidation:
    """One for each event loop; runs while there is somebody to watch."""

    def __init__(self) -> None:
        self._watched: set[Watched] = set()
        self._task: asyncio.Task[None] | None = None

    def add(self, watched: Watched) -> None:
        self._watched.add(watched)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def remove(self, watched: Watched) -> None:
        self._watched.discard(watched)

    async def _run(self) -> None:
        while self._watched:
            await asyncio.sleep(EVERY_S)
            watched = list(self._watched)
            try:
                revoked = await in_database(find_revoked, watched)
            except DatabaseError as error:
                log.warning("who is connected could not be checked: %s", error)
                continue
            for one in revoked:
                one.on_revoked()


def find_revoked(watched: list[Watched]) -> list[Watched]:
    """Those who no longer hold; each principal and session is asked for once."""
    answers: dict[tuple[str, str | None], bool] = {}
    revoked = []
    for one in watched:
        key = (one.principal.key, one.session_key)
        if key not in answers:
            answers[key] = revocation.is_still_valid(one.principal, one.session_key)
        if not answers[key]:
            revoked.append(one)
    return revoked


_by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Revalidation] = weakref.WeakKeyDictionary()


def get_revalidation() -> Revalidation:
    loop = asyncio.get_running_loop()
    if loop not in _by_loop:
        _by_loop[loop] = Revalidation()
    return _by_loop[loop]
