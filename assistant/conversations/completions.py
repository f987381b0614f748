"""A chat completion for a program: the same turn, cache and safety as everybody's, heard in this process.

The client's messages become a conversation of its key: those before the last are history, the last is
the question. What the scenario instructs the model stays the scenario's: system messages are not used.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from assistant.accounts import principals
from assistant.accounts.models import ApiKey
from assistant.conversations import private, turns
from assistant.conversations.database import in_database
from assistant.conversations.errors import Refused as TurnRefused
from assistant.conversations.models import Conversation, Message, Turn
from assistant.conversations.runner import get_runner
from assistant.safety.placeholders import StreamRestorer, redact, restore
from inference.serving.pieces import Finished, Token, Usage
from inference.serving.wire import ChatCall, Refused

MAX_HISTORY = 24
STATUS = {"context_length_exceeded": 400, "model_not_found": 404, "invalid_request": 400}


@dataclass(frozen=True)
class Retracted:
    """What was streamed does not stand; this is said instead."""

    text: str


def begin(key: ApiKey, call: ChatCall) -> Turn:
    """Save the conversation and its turn. Raises wire.Refused."""
    messages = [message for message in call.messages if message["role"] != "system"]
    if not messages or messages[-1]["role"] != "user":
        raise Refused("the last message is not the user's: end with the question.", param="messages")
    if call.continue_final_message:
        raise Refused(
            "continue_final_message is not served here: leave it out.", param="continue_final_message"
        )
    principal = principals.of_api_key(key)
    try:
        question = turns.checked_text(messages[-1]["content"])
        conversation = turns.open_conversation(
            principal=principal,
            site=key.site,
            scenario=key.scenario,
            locale=key.site.default_locale,
            client_id=uuid.uuid4(),
        )
        _add_history(conversation, messages[:-1])
        return turns.start(
            conversation=conversation,
            principal=principal,
            text=question,
            client_id=uuid.uuid4(),
            sampling=_sampling(call),
        )
    except TurnRefused as error:
        raise Refused(str(error), code=error.code, param="messages") from None


@transaction.atomic
def _add_history(conversation: Conversation, messages: list[dict[str, str]]) -> None:
    """Earlier messages, redacted as if they had been written here."""
    known: dict[str, str] = {}
    parent: Message | None = None
    for message in messages[-MAX_HISTORY:]:
        redacted = redact(message["content"][: turns.MAX_CHARS], locale=conversation.locale, known=known)
        known |= redacted.private
        role = Message.Role.USER if message["role"] == "user" else Message.Role.ASSISTANT
        parent = Message.objects.create(
            conversation=conversation,
            parent=parent,
            role=role,
            text=redacted.text,
            private=private.seal(redacted.private),
        )
    # A program's conversations are not listed by title: none is made for them.
    Conversation.objects.filter(pk=conversation.pk).update(leaf=parent, is_titled=True)


def _sampling(call: ChatCall) -> dict[str, Any]:
    """Only what the client asked for, so that a plain request shares the answers of the chat."""
    asked: dict[str, Any] = {"max_tokens": call.max_tokens, "seed": call.seed, "stop": list(call.stop)}
    asked |= {"temperature": call.temperature, "top_p": call.top_p if call.top_p < 1 else None}
    return {name: value for name, value in asked.items() if value}


async def run(turn: Turn) -> AsyncGenerator[Token | Retracted | Finished, None]:
    """Make the answer and hear it. Closing the generator stops the model. Raises wire.Refused."""
    values = await in_database(private.values_of, turn.conversation_id)
    restorer = StreamRestorer(values)
    heard: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    task = get_runner().start(turn, listeners=[heard.put_nowait])
    assert task is not None, "a turn that was just saved is ours to run"
    task.add_done_callback(lambda _task: heard.put_nowait(None))
    finished: dict[str, Any] | None = None
    try:
        while (body := await heard.get()) is not None:
            kind = body["type"]
            if kind == "delta" and (text := restorer.feed(body["text"])):
                yield Token(text)
            elif kind in ("reset", "retract"):
                yield Retracted(restore(body.get("text", ""), values))
            elif kind == "finished":
                finished = body["message"]
            elif kind == "turn" and body["state"] in ("failed", "interrupted"):
                raise _failure(body)
            elif kind == "turn" and body["state"] in ("done", "stopped"):
                break
        if finished is None:
            raise Refused("the answer was not finished here: ask again.", status=503, code="interrupted")
        if rest := restorer.finish():
            yield Token(rest)
        yield _end(finished)
    finally:
        get_runner().stop(turn.pk)


def _failure(body: dict[str, Any]) -> Refused:
    code = body.get("code", "internal")
    if code == "overloaded":
        return Refused(
            "too many answers are being made: come back later.",
            status=429,
            code="overloaded",
            retry_after_s=body.get("retry_after_s") or 5,
        )
    if body["state"] == "interrupted":
        return Refused("the engine broke off or is away: ask again.", status=503, code=code, retry_after_s=5)
    return Refused(f"the answer failed ({code}).", status=STATUS.get(code, 500), code=code)


def _end(message: dict[str, Any]) -> Finished:
    receipt = message["receipt"]
    is_filtered = message["state"] == Message.State.RETRACTED or message["outcome"] == "blocked"
    usage = Usage(receipt["prompt_tokens"], receipt["cached_tokens"], receipt["completion_tokens"])
    about = {"receipt": receipt, "citations": message["citations"], "outcome": message["outcome"]}
    reason = "content_filter" if is_filtered else receipt["finish_reason"] or "stop"
    return Finished(reason, usage, about)
