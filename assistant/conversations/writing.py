"""The answer while it is made: its text, its events, and the row that keeps the truth.

Text is saved about once a second together with the number of the last event it holds, so that a killed
process leaves the partial text and every snapshot joins its events without a gap or a doubled word.
All writes are fenced; a writer whose lease is gone changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from django.db import transaction
from django.utils import timezone

from assistant.conversations import events, leases, transcript
from assistant.conversations.database import in_database
from assistant.conversations.emitter import Emitter, Listener, pieces
from assistant.conversations.loading import Loaded, next_epoch
from assistant.conversations.models import Conversation, Message, Turn
from assistant.conversations.scenarios import Citation
from assistant.safety import audit
from assistant.safety.findings import Finding

ENDS = {
    Message.State.COMPLETE: Turn.State.DONE,
    Message.State.RETRACTED: Turn.State.DONE,
    Message.State.STOPPED: Turn.State.STOPPED,
    Message.State.INTERRUPTED: Turn.State.INTERRUPTED,
    Message.State.FAILED: Turn.State.FAILED,
}


class AnswerWriter:
    """Owned by one attempt at one turn; used from the event loop."""

    def __init__(self, loaded: Loaded, listeners: list[Listener] | None = None) -> None:
        self.loaded = loaded
        self.text = ""
        self.citations: list[dict[str, Any]] = []
        self.prompt: list[dict[str, str]] = []
        self.is_retracted = False
        self._turn_id = str(loaded.turn.pk)
        self._emitter = Emitter(loaded.context.conversation_id, loaded.epoch, listeners)
        self._state: dict[str, Any] = {}
        self._saving = asyncio.Lock()
        self._is_finished = False

    # ---- what readers see ----------------------------------------------------------------------

    def begin(self) -> None:
        """Tell the question and the empty answer. An attempt that died may have told them, or may not."""
        for message in self.loaded.messages:
            self._emit(type="message", message=message)
        if self.loaded.turn.num_attempts:
            self._emit(type="reset", message=self.loaded.answer_id)
        self.tell("queued")

    def tell(self, state: str, **more: Any) -> None:
        """Say how far the turn is, if that is news."""
        told = {"state": state, **more}
        if told == self._state:
            return
        self._state = told
        self._emit(
            type="turn", answer=self.loaded.answer_id, parent=str(self.loaded.turn.question_id), **told
        )

    def release(self, text: str) -> None:
        for piece in pieces(text):
            self.text += piece
            self._emit(type="delta", message=self.loaded.answer_id, text=piece)

    def void(self) -> None:
        """What was shown so far does not count: the answer starts over."""
        self.text, self.citations = "", []
        self._emit(type="reset", message=self.loaded.answer_id)

    def retract(self, *, reason: str, replacement: str) -> None:
        self.text, self.citations, self.is_retracted = replacement, [], True
        self._emit(type="retract", message=self.loaded.answer_id, text=replacement, reason=reason)

    def cite(self, citations: Iterable[Citation] | list[dict[str, Any]]) -> None:
        self.citations = [c if isinstance(c, dict) else asdict(c) for c in citations]
        if self.citations:
            self._emit(type="citations", message=self.loaded.answer_id, citations=self.citations)

    def _emit(self, **body: Any) -> None:
        self._emitter.emit(turn=self._turn_id, **body)

    # ---- what is kept --------------------------------------------------------------------------

    async def save(self) -> bool:
        """Keep the text so far and the lease; says whether somebody asked to stop. Raises LeaseLost."""
        async with self._saving:
            if self._is_finished:
                return False
            if self._emitter.is_broken and await events.ping():
                epoch = await in_database(_open_epoch, self.loaded, self.text, self.citations)
                self._emitter.reopen(epoch)
            return await in_database(_save, self.loaded, self._emitter.seq, self.text, self.citations)

    async def finish(
        self,
        state: Message.State,
        *,
        outcome: Message.Outcome,
        receipt: dict[str, Any],
        findings: Iterable[Finding] = (),
        **more: Any,
    ) -> None:
        """Save the finished answer, then tell. Raises LeaseLost."""
        changes = {
            "text": self.text,
            "citations": self.citations,
            "state": state,
            "outcome": outcome,
            "receipt": receipt,
        }
        async with self._saving:
            self._is_finished = True
            is_broken = self._emitter.is_broken
            # The row will hold the two events that follow it; with a broken log those of a new epoch.
            seq = (1 if is_broken else self._emitter.seq) + 2
            epoch, message = await in_database(
                _finish, self.loaded, changes, seq, self.prompt, list(findings), is_broken
            )
        if is_broken:
            self._emitter.reopen(epoch)
        self._emit(type="finished", message=message)
        self.tell(ENDS[state], **more)

    async def close(self) -> None:
        await self._emitter.close()


@transaction.atomic
def _save(loaded: Loaded, seq: int, text: str, citations: list[dict[str, Any]]) -> bool:
    leases.write(loaded.turn.pk, loaded.token, saved_seq=seq)
    Message.objects.filter(pk=loaded.turn.answer_id).update(text=text, citations=citations)
    return Turn.objects.values_list("is_stop_asked", flat=True).get(pk=loaded.turn.pk)


@transaction.atomic
def _open_epoch(loaded: Loaded, text: str, citations: list[dict[str, Any]]) -> int:
    epoch = next_epoch(loaded.turn.conversation_id)
    leases.write(loaded.turn.pk, loaded.token, epoch=epoch, saved_seq=1)
    Message.objects.filter(pk=loaded.turn.answer_id).update(text=text, citations=citations)
    return epoch


@transaction.atomic
def _finish(
    loaded: Loaded,
    changes: dict[str, Any],
    seq: int,
    prompt: list[dict[str, str]],
    findings: list[Finding],
    needs_epoch: bool,
) -> tuple[int, dict[str, Any]]:
    turn = loaded.turn
    ends: dict[str, Any] = {
        "state": ENDS[changes["state"]],
        "finished_at": timezone.now(),
        "saved_seq": seq,
        "prompt": prompt,
        "lease_until": None,
    }
    if needs_epoch:
        ends["epoch"] = next_epoch(turn.conversation_id)
    leases.write(turn.pk, loaded.token, **ends)
    Message.objects.filter(pk=turn.answer_id).update(**changes)
    Conversation.objects.filter(pk=turn.conversation_id).update(updated_at=timezone.now())
    if findings:
        audit.record(
            findings,
            site=loaded.context.site,
            conversation_id=turn.conversation_id,
            message_id=turn.answer_id,
            policy_version=loaded.context.policy.version,
        )
    answer = Message.objects.get(pk=turn.answer_id)
    return ends.get("epoch", 0), transcript.message_json(answer, transcript.siblings_of(answer))
