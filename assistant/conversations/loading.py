"""Everything a turn needs, read in one hop before it runs: question, branch, policy, and a kept answer.

A second or later attempt voids what an earlier one wrote: it gets a new epoch, and the text starts over.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings
from django.db import transaction

from assistant.conversations import leases, private, scenarios, transcript
from assistant.conversations.models import Conversation, Message, Turn
from assistant.conversations.scenarios import Scenario, TurnContext
from assistant.response_cache import services as response_cache
from assistant.response_cache.services import Hit, Question
from assistant.safety import policies

MAX_HISTORY = 12
WARM_TEMPERATURE = 0.7  # asked again after a whole answer, the same words would be no answer


@dataclass(frozen=True)
class Loaded:
    """One attempt at one turn.

    token       the fencing token every write must show
    reply       screening's own answer; then nothing else is asked
    cached      the cache's question; None when the answer must be made anew
    min_temperature    above 0 when somebody asked for another answer
    """

    turn: Turn
    token: int
    epoch: int
    context: TurnContext
    scenario: Scenario
    messages: list[dict[str, Any]]
    screening: dict[str, Any]
    private: dict[str, str] = field(repr=False)
    cached: Question | None = None
    hit: Hit | None = None
    min_temperature: float = 0.0

    @property
    def reply(self) -> str | None:
        return self.screening.get("reply")

    @property
    def answer_id(self) -> str:
        return str(self.turn.answer_id)


def load(turn_id: uuid.UUID, token: int) -> Loaded:
    """Begin an attempt. Raises LeaseLost, UnknownScenario."""
    with transaction.atomic():
        turn = Turn.objects.select_related("conversation__site", "question", "answer").get(pk=turn_id)
        epoch = turn.epoch if turn.num_attempts == 0 else _start_over(turn)
        leases.write(turn_id, token, state=Turn.State.RUNNING, epoch=epoch)
        messages = list(Message.objects.filter(conversation=turn.conversation_id).order_by("created_at"))
    context = _context(turn, messages)
    scenario = scenarios.get(turn.conversation.scenario)
    earlier = [m for m in messages if m.parent_id == turn.question_id and m.pk != turn.answer_id]
    question = None if earlier or turn.screening.get("reply") else _question(context, scenario, turn)
    has_whole = any(message.state == Message.State.COMPLETE for message in earlier)
    return Loaded(
        turn=turn,
        token=token,
        epoch=epoch,
        context=context,
        scenario=scenario,
        messages=_new_messages(turn, messages),
        screening=turn.screening,
        private=private.open_all(message.private for message in messages if message.private),
        cached=question,
        hit=response_cache.lookup(question) if question else None,
        min_temperature=WARM_TEMPERATURE if has_whole else 0.0,
    )


def _start_over(turn: Turn) -> int:
    epoch = next_epoch(turn.conversation_id)
    Turn.objects.filter(pk=turn.pk).update(saved_seq=0)
    Message.objects.filter(pk=turn.answer_id).update(text="", citations=[])
    turn.answer.text, turn.answer.citations = "", []
    return epoch


def next_epoch(conversation_id: uuid.UUID) -> int:
    """Take the conversation's next epoch. Call it inside a transaction."""
    conversation = Conversation.objects.select_for_update().only("pk", "epoch").get(pk=conversation_id)
    conversation.epoch += 1
    Conversation.objects.filter(pk=conversation_id).update(epoch=conversation.epoch)
    return conversation.epoch


def _new_messages(turn: Turn, messages: list[Message]) -> list[dict[str, Any]]:
    """What the first events tell: the question, unless it is an old one, and the answer to come."""
    is_new = not any(m.parent_id == turn.question_id and m.pk != turn.answer_id for m in messages)
    new = [turn.question, turn.answer] if is_new else [turn.answer]
    return transcript.as_json(new, among=messages)


def _context(turn: Turn, messages: list[Message]) -> TurnContext:
    conversation = turn.conversation
    history = branch(messages, turn.question)
    return TurnContext(
        site=conversation.site,
        conversation_id=str(conversation.pk),
        principal_key=principal_key(conversation),
        locale=conversation.locale,
        question=turn.question.text,
        history=history,
        is_first_turn=not history,
        policy=policies.effective(site=conversation.site, scenario=conversation.scenario),
    )


def branch(messages: list[Message], question: Message) -> list[dict[str, str]]:
    """What was said before a question, along its own branch, oldest first."""
    by_id = {message.pk: message for message in messages}
    path: list[dict[str, str]] = []
    message = by_id.get(question.parent_id) if question.parent_id else None
    while message is not None and len(path) < MAX_HISTORY:
        if message.text:
            path.append({"role": message.role, "content": message.text})
        message = by_id.get(message.parent_id) if message.parent_id else None
    path.reverse()
    while path and path[0]["role"] == Message.Role.ASSISTANT:
        path.pop(0)
    return path


def principal_key(conversation: Conversation) -> str:
    if conversation.user_id:
        return f"user:{conversation.user_id}"
    if conversation.visitor_id:
        return f"visitor:{conversation.visitor_id}"
    return f"api_key:{conversation.api_key_id}"


def _question(context: TurnContext, scenario: Scenario, turn: Turn) -> Question:
    """The cache key's parts. Whatever is not a first, impersonal question stays with its asker."""
    question = Question(
        site_id=context.site.pk,
        scenario=scenario.name,
        locale=context.locale,
        text=context.question,
        model=settings.ENGINE_MODEL or settings.ENGINE_URL or settings.MODEL,
        quantization=settings.ENV["QUANTIZATION"],
        prompt_version=scenario.prompt_version,
        knowledge_epoch=scenario.knowledge_epoch(context.site),
        policy_version=context.policy.version,
        sampling=turn.sampling,
        is_first_turn=context.is_first_turn,
        branch=response_cache.branch_of(context.history),
    )
    is_general = context.is_first_turn and not question.is_personal
    return question if is_general else _for_one(question, context.principal_key)


def _for_one(question: Question, principal_key: str) -> Question:
    return replace(question, user_scope=principal_key)
