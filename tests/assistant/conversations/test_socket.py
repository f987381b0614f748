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


async def test_what_the_page_says_of_its_visitor_is_kept_with_the_conversation(visitor: Person) -> None:
    chat = await Chat(visitor.token).open(attributes={"plan": "pro", "seats": 3, "trial": False})
    await chat.ask("Hello?")
    answer = await chat.until_answered()
    message = await Message.objects.select_related("conversation").aget(pk=answer["id"])
    assert message.conversation.attributes == {"plan": "pro", "seats": 3, "trial": False}
    await chat.close()


@pytest.mark.parametrize(
    "attributes",
    [{"a": "x" * 201}, {str(n): 1 for n in range(21)}, {"a": {"b": 1}}, {"a": "\x00"}, {"": 1}],
    ids=["long", "many", "nested", "NUL", "unnamed"],
)
async def test_attributes_that_cannot_be_kept_are_refused(visitor: Person, attributes: object) -> None:
    chat = Chat(visitor.token)
    await chat.connect()
    await chat.send({"type": "hello", "site": "shop", "token": visitor.token, "attributes": attributes})
    assert await chat.until_closed() == 4400
    await chat.close()
