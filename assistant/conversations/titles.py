"""Titles, asked of the model once the first answer stands.

The request is the answered prompt itself with one more question behind it, so that its prefix is still
in the engine's cache: a title costs a few tokens and does not drive anybody's conversation out of it.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from assistant.conversations.announcing import tell
from assistant.conversations.database import in_database
from assistant.conversations.engine import get_engine
from assistant.conversations.models import Conversation, Message, Turn
from assistant.safety import policies
from assistant.safety.guard import StreamGuard
from inference.serving.client import ChatRequest, EngineError, Token

log = logging.getLogger(__name__)
ASK = {
    "en": "Give this conversation a title of at most six words. Write the title and nothing else.",
    "zh": "请为这段对话起一个不超过十二个字的标题。只写标题，不要写别的。",
}
MAX_TOKENS = 16
MAX_CHARS = 60
MAX_AT_ONCE = 5
_AROUND = " #*.。\"'“”‘’《》「」"
GIVE_UP_AFTER = timedelta(hours=1)


async def make_titles() -> int:
    """Name the conversations that wait for a title. Returns how many were named."""
    num_named = 0
    for turn in await in_database(waiting):
        try:
            title = await ask(turn)
        except EngineError as error:
            log.info("titles wait for the engine: %s", error)
            break
        if await in_database(keep, turn.conversation, title) and title:
            num_named += 1
            await tell(turn.conversation, {"type": "title", "title": title})
    return num_named


def waiting() -> list[Turn]:
    """The first answered turn of each untitled conversation; only answers a model wrote can be continued."""
    turns = Turn.objects.filter(
        conversation__is_titled=False,
        conversation__api_key=None,
        answer__outcome=Message.Outcome.ANSWERED,
        state=Turn.State.DONE,
        finished_at__gt=timezone.now() - GIVE_UP_AFTER,
    ).exclude(prompt=[])
    first: dict[object, Turn] = {}
    for turn in turns.select_related("conversation__site", "answer").order_by("created_at")[:100]:
        first.setdefault(turn.conversation_id, turn)
    return list(first.values())[:MAX_AT_ONCE]


async def ask(turn: Turn) -> str:
    """The model's title, checked like any answer; empty when it is none. Raises EngineError."""
    conversation = turn.conversation
    prompt = turn.prompt[:-1] if turn.prompt[-1]["role"] == "assistant" else turn.prompt
    question = ASK["zh" if conversation.locale.lower().startswith("zh") else "en"]
    request = ChatRequest(
        messages=[
            *prompt,
            {"role": "assistant", "content": turn.answer.text},
            {"role": "user", "content": question},
        ],
        max_tokens=MAX_TOKENS,
        temperature=0.0,
        salt=f"site:{conversation.site_id}",
        model=settings.ENGINE_MODEL or None,
    )
    pieces = [piece.text async for piece in get_engine().chat(request) if isinstance(piece, Token)]
    policy = await in_database(policies.effective, site=conversation.site, scenario=conversation.scenario)
    guard = StreamGuard(policy, locale=conversation.locale)
    guard.feed("".join(pieces))
    guard.finish()
    return "" if guard.is_retracted else clean("".join(pieces))


def clean(text: str) -> str:
    """The first line, without quotation marks, `Title:` and a final full stop."""
    line = next((line for line in text.splitlines() if line.strip()), "").strip(_AROUND)
    for prefix in ("Title:", "标题：", "标题:"):
        line = line.removeprefix(prefix).strip(_AROUND)
    return line[:MAX_CHARS]


def keep(conversation: Conversation, title: str) -> bool:
    """Save it, unless the owner has named the conversation meanwhile. Without a title the old one stays."""
    changes = {"is_titled": True, **({"title": title} if title else {})}
    return bool(Conversation.objects.filter(pk=conversation.pk, is_titled=False).update(**changes))
