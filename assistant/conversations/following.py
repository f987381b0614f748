"""Reading one conversation for one socket: from a cursor, without a gap, without a double.

What the log still has is read from the log; when it has lost something, is down, or fell behind, the
database is asked and the client gets a snapshot. Deltas that wait together become one frame, so a slow
reader gets fewer and larger ones.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Literal

from assistant.conversations import events, private, transcript
from assistant.conversations.database import in_database
from assistant.conversations.events import Cursor, Event, LogUnavailable
from assistant.safety.placeholders import PLACEHOLDER

Status = Literal["up_to_date", "replay", "reload"]
Frame = dict[str, Any]
MAX_MERGED_CHARS = 16_000
# How often to look without having been woken.
ACTIVE_POLL_S, IDLE_POLL_S, DOWN_POLL_S = 1.0, 5.0, 2.0
# A running turn that is silent for so long may have been finished where the log could not be reached.
SILENCE_S = 3.0
ENDED = {"done", "stopped", "interrupted", "failed"}


class Follower:
    """`cursor`: the last event its client has, or is about to get."""

    def __init__(self, conversation_id: str) -> None:
        self.conversation_id = conversation_id
        self.cursor = Cursor()
        self._is_active = False
        self._is_anchored = False
        self._is_down = False
        self._heard_at = time.monotonic()
        self._private: dict[str, str] = {}
        self._news = asyncio.Event()
        self._pending: list[Frame] = []

    def wake(self) -> None:
        self._news.set()

    async def begin(self, cursor: Cursor | None) -> Status:
        """Start after `cursor`, the last event the client has seen; `read` then gives what it lacks."""
        status = await self._compare(cursor) if cursor is not None else "reload"
        if status == "reload" or cursor is None:
            self._pending = [await self._snapshot()]
            return "reload"
        self.cursor = cursor
        self._private = await in_database(private.values_of, self.conversation_id)
        self._news.set()
        return status

    async def _compare(self, cursor: Cursor) -> Status:
        standing = await in_database(transcript.standing, self.conversation_id)
        self._is_active = standing.is_active
        is_last = cursor.epoch == standing.cursor.epoch and cursor.seq >= standing.cursor.seq
        try:
            is_known, found = await events.read(self.conversation_id, cursor)
        except LogUnavailable:
            self._is_down = True
            return "up_to_date" if is_last else "reload"
        if found and found[0].follows(cursor) and found[0].body["type"] != events.RESYNC:
            return "replay"
        if found or cursor.epoch > standing.cursor.epoch:
            return "reload"
        # Nothing is in the log of a turn that is just about to begin.
        if is_last or ((is_known or cursor.seq == 0) and standing.is_active):
            return "up_to_date"
        return "reload"

    async def read(self) -> list[Frame]:
        """Wait for the next frames. What is given out counts as seen."""
        while True:
            if self._pending:
                frames, self._pending = self._pending, []
                return frames
            await self._wait()
            if frames := await self._look():
                return frames

    async def _wait(self) -> None:
        poll_s = DOWN_POLL_S if self._is_down else ACTIVE_POLL_S if self._is_active else IDLE_POLL_S
        try:
            async with asyncio.timeout(poll_s):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    async def _look(self) -> list[Frame]:
        try:
            is_known, found = await events.read(self.conversation_id, self.cursor)
        except LogUnavailable:
            self._is_down = True
            return await self._ask_database()
        was_down, self._is_down = self._is_down, False
        if found:
            self._heard_at = time.monotonic()
            if len(found) >= events.MAX_READ:
                self._news.set()
            return await self._take(found)
        was_anchored, self._is_anchored = self._is_anchored, is_known
        is_silent = self._is_active and time.monotonic() - self._heard_at > SILENCE_S
        if was_down or (was_anchored and not is_known) or is_silent:
            self._heard_at = time.monotonic()
            return await self._ask_database()
        return []

    async def _ask_database(self) -> list[Frame]:
        """A snapshot, if the database holds more than the client has and the log will not tell it."""
        standing = await in_database(transcript.standing, self.conversation_id)
        is_told_by_log = standing.is_active and not self._is_down
        if standing.cursor <= self.cursor or is_told_by_log:
            return []
        return [await self._snapshot()]

    async def _snapshot(self) -> Frame:
        snapshot = await in_database(transcript.snapshot, self.conversation_id)
        self.cursor = snapshot.standing.cursor
        self._is_active = snapshot.standing.is_active
        self._is_anchored = False
        self._private = snapshot.private
        self._heard_at = time.monotonic()
        self._news.set()
        return snapshot.frame

    async def _take(self, found: list[Event]) -> list[Frame]:
        frames: list[Frame] = []
        for event in found:
            if event.body["type"] == events.RESYNC or not event.follows(self.cursor):
                frames.append(await self._snapshot())
                break
            self.cursor, self._is_anchored = event.cursor, True
            self._note(event.body)
            if _has_new_private(event.body, self._private):
                self._private = await in_database(private.values_of, self.conversation_id)
            if not _merge(frames, event):
                frames.append({**event.body, **event.cursor.as_json()})
        return [private.restore_frame(frame, self._private) for frame in frames]

    def _note(self, body: Frame) -> None:
        if body["type"] == "turn":
            self._is_active = body["state"] not in ENDED


def _has_new_private(body: Frame, known: dict[str, str]) -> bool:
    message = body.get("message")
    if body["type"] != "message" or not isinstance(message, dict):
        return False
    return any(placeholder not in known for placeholder in PLACEHOLDER.findall(message["text"]))


def _merge(frames: list[Frame], event: Event) -> bool:
    """Add a delta to the delta before it; says whether it could."""
    last, body = (frames[-1] if frames else {}), event.body
    if body["type"] != "delta" or last.get("type") != "delta" or last["message"] != body["message"]:
        return False
    if last["epoch"] != event.cursor.epoch or len(last["text"]) + len(body["text"]) > MAX_MERGED_CHARS:
        return False
    last.setdefault("first_seq", last["seq"])
    last["text"] += body["text"]
    last["seq"] = event.cursor.seq
    return True
