"""Ask, read, come back: the everyday way through the socket."""

from __future__ import annotations

import pytest

from assistant.conversations.models import Message
from tests.assistant.conversations.conftest import Person
from tests.support.chat_client import Chat

pytestmark = pytest.mark.usefixtures("web")


async def test_an_answer_streams_and_is_kept(visitor: Person) -> None:
    chat = await Chat(visitor.token).open()
    await chat.ask("Hello? [[say:One sentence. Another sentence. The end.]]")
    answer = await chat.until_answered()
    assert answer["text"] == "One sentence. Another sentence. The end."
    assert answer["state"] == "complete"
    kept = await Message.objects.aget(pk=answer["id"])
    assert (kept.text, kept.state, kept.outcome) == (answer["text"], "complete", "answered")
    assert kept.receipt["model"] == "scripted"
    await chat.close()
