"""Asks the cases' questions as a visitor would: screening, retrieval, model and guard, nothing left out.

Every case has a conversation of its own, of a visitor made for the run; all are deleted afterwards, with
their verdicts, unless they are to be kept. The response cache is left aside unless it is asked for.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from assistant.accounts import principals
from assistant.accounts.models import Visitor
from assistant.conversations import turns
from assistant.conversations.database import in_database
from assistant.conversations.errors import Refused
from assistant.conversations.models import Conversation, Turn
from assistant.conversations.runner import get_runner
from assistant.safety.models import Verdict
from assistant.support.evaluation.cases import Ask, Case

if TYPE_CHECKING:
    from assistant.widget.models import Site

VISITOR_NAME = "evaluation"


@dataclass
class Answered:
    """One turn as it was recorded, whole enough for another judge."""

    user: str
    answer: str = ""
    outcome: str = ""
    state: str = ""
    citations: list[dict[str, Any]] = field(default_factory=list)
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    stored: dict[str, Any] = field(default_factory=dict)
    receipt: dict[str, Any] = field(default_factory=dict)
    error: str = ""


class Driver:
    """Drives cases on one site, one after another."""

    def __init__(self, site: Site, visitor: Visitor) -> None:
        self._site = site
        self._principal = principals.of_visitor(visitor)

    async def __aenter__(self) -> Driver:
        return self

    async def __aexit__(self, *_: object) -> None:
        await get_runner().close()

    async def run(self, case: Case) -> list[Answered]:
        """The answers to the case's turns, in one conversation."""
        conversation = await in_database(self._open, case)
        return [await self._ask(conversation, ask) for ask in case.turns]

    def _open(self, case: Case) -> Conversation:
        conversation = turns.open_conversation(
            principal=self._principal,
            site=self._site,
            scenario=case.scenario,
            locale=case.locale,
            client_id=uuid.uuid4(),
        )
        Conversation.objects.filter(pk=conversation.pk).update(title=f"{VISITOR_NAME}: {case.id}"[:200])
        return conversation

    async def _ask(self, conversation: Conversation, ask: Ask) -> Answered:
        try:
            turn = await in_database(
                turns.start,
                conversation=conversation,
                principal=self._principal,
                text=ask.user,
                client_id=uuid.uuid4(),
            )
        except Refused as error:
            return Answered(user=ask.user, outcome="error", error=str(error))
        await get_runner().run_to_end(turn)
        return await in_database(_recorded, turn.pk, ask.user)


def _recorded(turn_id: uuid.UUID, user: str) -> Answered:
    """What the database holds of a finished turn."""
    turn = Turn.objects.select_related("question", "answer").get(pk=turn_id)
    question, answer = turn.question, turn.answer
    verdicts = Verdict.objects.filter(message_id__in=[question.pk, answer.pk]).order_by("created_at")
    return Answered(
        user=user,
        answer=answer.text,
        outcome=answer.outcome,
        state=answer.state,
        citations=answer.citations,
        verdicts=[
            {
                "stage": verdict.stage,
                "check": verdict.check_name,
                "action": verdict.action,
                "reason": verdict.reason,
                "policy_version": verdict.policy_version,
            }
            for verdict in verdicts
        ],
        stored={
            "question": question.text,
            "has_sealed_private_data": bool(question.private),
            "turn_state": turn.state,
            "num_attempts": turn.num_attempts,
        },
        receipt=answer.receipt,
        error="" if turn.state == Turn.State.DONE else f"the turn ended {turn.state}",
    )


@contextmanager
def evaluation_visitor(site: Site, *, is_kept: bool) -> Iterator[Visitor]:
    """A visitor for one run; afterwards nothing of it is left, unless it is to be kept."""
    visitor = Visitor.objects.create(site=site, name=VISITOR_NAME)
    try:
        yield visitor
    finally:
        if not is_kept:
            conversations = Conversation.objects.filter(visitor=visitor)
            Verdict.objects.filter(
                conversation_id__in=list(conversations.values_list("pk", flat=True))
            ).delete()
            conversations.delete()
            visitor.delete()
