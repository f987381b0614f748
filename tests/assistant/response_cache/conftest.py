"""Questions and answers to be cached, with a real message behind each answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from assistant.conversations.models import Conversation, Message
from assistant.response_cache.entries import Answer
from assistant.response_cache.keys import Question
from tests.support.people import make_site


def question(text: str = "How do I start it?", **changes: Any) -> Question:
    fields: dict[str, Any] = {
        "site_id": 1,
        "scenario": "support",
        "locale": "en",
        "text": text,
        "model": "qwen",
        "quantization": "int4",
        "prompt_version": "p1",
        "knowledge_epoch": 3,
        "policy_version": 2,
        "sampling": {"temperature": 0.0},
    }
    return Question(**fields | changes)


def answer(text: str = "Type `make run`.", **changes: Any) -> Answer:
    fields: dict[str, Any] = {"outcome": "answered", "message_id": "m1", "is_shareable": True}
    return Answer(text=text, **fields | changes)


@pytest.fixture
def make_answer(db: None) -> Callable[..., Answer]:
    """An answer whose message stands in the database."""
    conversation = Conversation.objects.create(site=make_site())

    def make(text: str = "Type `make run`.", **changes: Any) -> Answer:
        message = Message.objects.create(
            conversation=conversation, role="assistant", text=text, state="complete", outcome="answered"
        )
        return answer(text, message_id=str(message.pk), **changes)

    return make
