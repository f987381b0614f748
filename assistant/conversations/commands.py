"""What each frame of a client does: one service, and the frame that answers it.

`Session` is what a socket knows after hello. Synchronous parts run in one database hop each.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from assistant.accounts import principals
from assistant.accounts.principals import Principal
from assistant.conversations import limits, scenarios, turns
from assistant.conversations.access import find_conversation
from assistant.conversations.announcing import tell
from assistant.conversations.database import in_database
from assistant.conversations.errors import Forbidden, NotFound, Refused
from assistant.conversations.events import Cursor
from assistant.conversations.frames import (
    Ask,
    Command,
    Edit,
    Feedback,
    Handoff,
    Hello,
    Regenerate,
    Select,
    Stop,
)
from assistant.conversations.models import Conversation, Turn
from assistant.conversations.runner import get_runner
from assistant.widget.models import Site
from assistant.widget.services import SiteNotFound, default_site, get_site

Frame = dict[str, Any]


@dataclass
class Session:
    """`conversation` is None until the first question opens one."""

    principal: Principal
    session_key: str | None
    site: Site
    scenario: str
    locale: str
    starters: list[str]
    attributes: dict[str, Any]
    conversation: Conversation | None = None


# ---- hello -------------------------------------------------------------------------------------


def greet(hello: Hello, scope: Mapping[str, Any], early: Principal | None) -> Session:
    """Who is there and which conversation they mean. Raises NotAuthenticated, NotFound, Forbidden."""
    site = _site(hello.site) if hello.site else None
    principal = early or principals.from_scope(scope, hello.token, site)
    conversation = find_conversation(principal, hello.conversation) if hello.conversation else None
    site = conversation.site if conversation else site or _own_site(principal)
    if principal.site_id is not None and principal.site_id != site.pk:
        raise Forbidden("This visitor belongs to another site.")
    scenario = conversation.scenario if conversation else hello.scenario or site.scenario
    locale = conversation.locale if conversation else hello.locale or site.default_locale
    session_key = scope["session"].session_key if principal.kind == "user" else None
    starters = [] if conversation else _starters(scenario, site, locale)
    return Session(principal, session_key, site, scenario, locale, starters, hello.attributes, conversation)


def _site(slug: str) -> Site:
    try:
        return get_site(slug)
    except SiteNotFound as error:
        raise NotFound(str(error)) from None


def _own_site(principal: Principal) -> Site:
    if principal.visitor is not None:
        return principal.visitor.site
    site = default_site()
    if site is None:
        raise NotFound("There is no site yet. Make one in the console.")
    return site


def _starters(scenario: str, site: Site, locale: str) -> list[str]:
    try:
        return scenarios.get(scenario).starters(site, locale)
    except scenarios.UnknownScenario as error:
        raise NotFound(str(error)) from None


def welcome(session: Session, status: str, cursor: Cursor) -> Frame:
    return {
        "type": "welcome",
        "conversation": str(session.conversation.pk) if session.conversation else None,
        "status": status,
        "cursor": cursor.as_json(),
        "you": {"kind": session.principal.kind, "name": session.principal.name},
        "starters": session.starters,
    }


# ---- commands ----------------------------------------------------------------------------------


async def do(session: Session, command: Command, *, on_saved: Callable[[], Awaitable[None]]) -> Frame | None:
    """Carry a command out; the frame that answers it, if events do not. Raises Refused.

    `on_saved` is awaited between saving a question and running it: from then on there is a conversation
    to follow, and nothing of it is missed.
    """
    if isinstance(command, Ask):
        turn = await in_database(_ask, session, command)
        await on_saved()
        get_runner().start(turn)
        return None
    if session.conversation is None:
        raise NotFound("There is no conversation yet. Ask something first.")
    if isinstance(command, Stop):
        await _stop(session, command)
        return None
    if isinstance(command, Regenerate | Edit):
        get_runner().start(await in_database(_again, session, session.conversation, command))
        return None
    if isinstance(command, Select):
        return await _select(session.conversation, command)
    return await in_database(_note, session.conversation, command)


def _ask(session: Session, ask: Ask) -> Turn:
    limits.take_question(session.principal.key)
    if session.conversation is None:
        turns.checked_text(ask.text)
        session.conversation = turns.open_conversation(
            principal=session.principal,
            site=session.site,
            scenario=session.scenario,
            locale=session.locale,
            client_id=ask.client_id,
            attributes=session.attributes,
        )
    return turns.start(
        conversation=session.conversation,
        principal=session.principal,
        text=ask.text,
        client_id=ask.client_id,
        parent_id=ask.parent,
    )


def _again(session: Session, conversation: Conversation, command: Regenerate | Edit) -> Turn:
    limits.take_question(session.principal.key)
    if isinstance(command, Regenerate):
        return turns.regenerate(
            conversation=conversation,
            principal=session.principal,
            message_id=command.message,
            client_id=command.client_id,
        )
    return turns.edit(
        conversation=conversation,
        principal=session.principal,
        message_id=command.message,
        text=command.text,
        client_id=command.client_id,
    )


async def _stop(session: Session, command: Stop) -> None:
    is_running = await in_database(turns.stop, turn_id=command.turn, principal=session.principal)
    if is_running and not get_runner().stop(command.turn):
        await get_runner().announce_stop(command.turn)


async def _select(conversation: Conversation, command: Select) -> Frame | None:
    leaf = await in_database(turns.select, conversation=conversation, message_id=command.message)
    body = {"type": "selected", "leaf": str(leaf.pk)}
    return None if await tell(conversation, body) else body


def _note(conversation: Conversation, command: Feedback | Handoff) -> Frame:
    if isinstance(command, Feedback):
        turns.judge(
            conversation=conversation,
            message_id=command.message,
            value=command.value,
            reason=command.reason,
        )
        return {"type": "feedback", "message": str(command.message), "value": command.value}
    client_id = str(command.client_id)
    try:
        told = scenarios.get(conversation.scenario).hand_over(
            conversation_id=str(conversation.pk), email=command.email, client_id=client_id
        )
    except ValueError as error:
        raise Refused(str(error)) from None
    return {"type": "handed_over", "client_id": client_id, **told}


# ---- errors ------------------------------------------------------------------------------------


def error_frame(error: Refused, command: Command | None = None) -> Frame:
    client_id = getattr(command, "client_id", None)
    return {
        "type": "error",
        "code": error.code,
        "message": str(error),
        "retry_after_s": error.retry_after_s,
        "client_id": str(client_id) if client_id else None,
    }


def unavailable_frame(command: Command) -> Frame:
    """Nothing of this command was kept: it can be sent again as it was."""
    error = Refused("This cannot be saved at the moment. Try again.", retry_after_s=5)
    return error_frame(error, command) | {"code": "unavailable"}
