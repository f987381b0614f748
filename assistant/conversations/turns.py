"""What people do in a conversation: ask, stop, ask again, edit, choose a branch, judge an answer.

Everything is saved before anything else happens, and is idempotent by the client's own id: the same
request five times makes one message and one answer. Services are synchronous; `runner` makes the answer.
"""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from assistant.conversations import events, leases, private
from assistant.conversations.access import find_conversation, visible_conversations
from assistant.conversations.errors import BadText, Busy, NotFound, TooLarge
from assistant.conversations.models import Conversation, Message, Turn
from assistant.response_cache import services as response_cache
from assistant.safety import audit
from assistant.safety.screening import Screening, screen

if TYPE_CHECKING:
    from assistant.accounts.principals import Principal
    from assistant.widget.models import Site

MAX_CHARS = 8_000
MAX_TITLE = 60
# Names conversations after the request that begins them, so that a repeated request finds its own.
NAMESPACE = uuid.UUID("6f1c1a52-8a0b-4c55-9d0a-6a0f1f3f8a11")


def open_conversation(
    *,
    principal: Principal,
    site: Site,
    scenario: str,
    locale: str,
    client_id: uuid.UUID,
    attributes: dict[str, Any] | None = None,
) -> Conversation:
    """The conversation that this first request begins; the same one when the request comes again."""
    owner: dict[str, Any] = {
        "user_id": principal.id if principal.kind == "user" else None,
        "visitor_id": principal.id if principal.kind == "visitor" else None,
        "api_key_id": principal.id if principal.kind == "api_key" else None,
    }
    conversation, _is_new = Conversation.objects.get_or_create(
        pk=uuid.uuid5(NAMESPACE, f"{principal.key}:{client_id}"),
        defaults={
            "site": site,
            "scenario": scenario,
            "locale": locale,
            "attributes": attributes or {},
            **owner,
        },
    )
    # An account may have taken a visitor's conversation over meanwhile.
    return find_conversation(principal, conversation.pk)


def start(
    *,
    conversation: Conversation,
    principal: Principal,
    text: str,
    client_id: uuid.UUID,
    parent_id: uuid.UUID | None = None,
    sampling: dict[str, Any] | None = None,
) -> Turn:
    """Save a question and the turn that will answer it. `parent_id`: the message it follows; by default
    the end of the branch shown.

    Raises BadText, TooLarge, Busy, NotFound. The caller hands the turn to the runner.
    """
    text = checked_text(text)
    screening = _screen(conversation, text)
    with transaction.atomic():
        locked = _lock(conversation)
        if earlier := _find_turn(locked, client_id):
            return earlier
        _refuse_busy(locked)
        parent = _find_message(locked, parent_id) if parent_id else locked.leaf
        question = _add_question(locked, parent, screening, client_id)
        return _begin(locked, question, screening=screening, sampling=sampling)


def edit(
    *,
    conversation: Conversation,
    principal: Principal,
    message_id: uuid.UUID,
    text: str,
    client_id: uuid.UUID,
) -> Turn:
    """Ask differently: a new branch beside the edited question. Raises as `start`."""
    text = checked_text(text)
    screening = _screen(conversation, text)
    with transaction.atomic():
        locked = _lock(conversation)
        if earlier := _find_turn(locked, client_id):
            return earlier
        _refuse_busy(locked)
        edited = _find_message(locked, message_id, role=Message.Role.USER)
        question = _add_question(locked, edited.parent, screening, client_id)
        return _begin(locked, question, screening=screening)


def regenerate(
    *, conversation: Conversation, principal: Principal, message_id: uuid.UUID, client_id: uuid.UUID
) -> Turn:
    """Answer the same question again: a new branch beside the old answer. Raises Busy, NotFound."""
    with transaction.atomic():
        locked = _lock(conversation)
        if earlier := _find_turn(locked, client_id):
            return earlier
        _refuse_busy(locked)
        answer = _find_message(locked, message_id, role=Message.Role.ASSISTANT)
        assert answer.parent is not None
        before = answer.parent.turns.order_by("created_at").first()
        said = before.screening if before else {}
        return _begin(locked, answer.parent, said=said, answer_client_id=client_id)


def stop(*, turn_id: uuid.UUID, principal: Principal) -> bool:
    """Ask a turn to stop; says whether it was still being made. Raises NotFound."""
    turn = Turn.objects.filter(pk=turn_id, conversation__in=visible_conversations(principal)).first()
    if turn is None:
        raise NotFound(f"There is no turn {turn_id}.")
    return bool(Turn.objects.filter(pk=turn_id, state__in=leases.ACTIVE).update(is_stop_asked=True))


def select(*, conversation: Conversation, message_id: uuid.UUID) -> Message:
    """Show the branch that goes through this message; its newest end becomes the leaf. Raises NotFound."""
    with transaction.atomic():
        locked = _lock(conversation)
        message = _find_message(locked, message_id)
        newest: dict[uuid.UUID | None, Message] = {}
        for other in locked.messages.order_by("created_at"):
            newest[other.parent_id] = other
        while message.pk in newest:
            message = newest[message.pk]
        Conversation.objects.filter(pk=locked.pk).update(leaf=message)
    return message


def judge(*, conversation: Conversation, message_id: uuid.UUID, value: int, reason: str) -> None:
    """Keep somebody's thumb on an answer. Raises NotFound."""
    changed = Message.objects.filter(
        pk=message_id, conversation=conversation, role=Message.Role.ASSISTANT
    ).update(feedback=value, feedback_reason=reason[:500])
    if not changed:
        raise NotFound(f"There is no answer {message_id} in this conversation.")


def rename(*, conversation: Conversation, title: str) -> None:
    """Give a conversation its owner's title. Raises BadText."""
    title = " ".join(title.split())
    if not title:
        raise BadText("The title is empty. Write something.")
    screening = _screen(conversation, title[:200])
    Conversation.objects.filter(pk=conversation.pk).update(
        title=screening.text, is_titled=True, updated_at=timezone.now()
    )


def delete(*, conversation: Conversation) -> None:
    """Delete a conversation for good, and what the cache kept of its answers."""
    conversation_id = str(conversation.pk)
    answers = list(conversation.messages.filter(role=Message.Role.ASSISTANT).values_list("pk", flat=True))
    conversation.delete()
    transaction.on_commit(partial(_forget, conversation_id, answers))


def checked_text(text: str) -> str:
    """What somebody wrote, trimmed. Raises BadText, TooLarge."""
    text = text.strip()
    if not text:
        raise BadText("The question is empty. Write something.")
    if len(text) > MAX_CHARS:
        raise TooLarge(f"The question has {len(text)} characters, {MAX_CHARS} at most are read. Shorten it.")
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise BadText("The question holds characters that are no text (NUL or half a surrogate pair).")
    return text


def _forget(conversation_id: str, answers: list[uuid.UUID]) -> None:
    events.forget(conversation_id)
    for answer_id in answers:
        response_cache.forget(answer_id)


# ---- within a transaction ----------------------------------------------------------------------


def _lock(conversation: Conversation) -> Conversation:
    """One writer at a time; whoever waited sees what the other wrote."""
    locked = Conversation.objects.select_for_update().filter(pk=conversation.pk).first()
    if locked is None:
        raise NotFound(f"There is no conversation {conversation.pk}.")
    return locked


def _refuse_busy(conversation: Conversation) -> None:
    if conversation.turns.filter(state__in=leases.ACTIVE).exists():
        raise Busy("The last question is still being answered. Wait for it, or stop it.", retry_after_s=2)


def _find_message(
    conversation: Conversation, message_id: uuid.UUID, *, role: Message.Role | None = None
) -> Message:
    messages = conversation.messages.filter(pk=message_id)
    found = (messages.filter(role=role) if role else messages).first()
    if found is None:
        raise NotFound(f"There is no such message {message_id} in this conversation.")
    return found


def _screen(conversation: Conversation, text: str) -> Screening:
    return screen(
        text,
        site=conversation.site,
        scenario=conversation.scenario,
        locale=conversation.locale,
        known=private.values_of(conversation.pk),
    )


def _add_question(
    conversation: Conversation, parent: Message | None, screening: Screening, client_id: uuid.UUID
) -> Message:
    return Message.objects.create(
        conversation=conversation,
        parent=parent,
        role=Message.Role.USER,
        text=screening.text,
        private=private.seal(screening.private),
        client_id=client_id,
    )


def _begin(
    conversation: Conversation,
    question: Message,
    *,
    screening: Screening | None = None,
    said: dict[str, Any] | None = None,
    sampling: dict[str, Any] | None = None,
    answer_client_id: uuid.UUID | None = None,
) -> Turn:
    answer = Message.objects.create(
        conversation=conversation,
        parent=question,
        role=Message.Role.ASSISTANT,
        state=Message.State.STREAMING,
        client_id=answer_client_id,
    )
    conversation.leaf = answer
    conversation.epoch += 1
    conversation.title = conversation.title or question.text[:MAX_TITLE]
    conversation.save(update_fields=["leaf", "epoch", "title", "updated_at"])
    turn = Turn.objects.create(
        conversation=conversation,
        question=question,
        answer=answer,
        epoch=conversation.epoch,
        lease_owner=leases.OWNER,
        lease_until=leases.end(),
        fencing_token=1,
        screening=_verdict(screening) if screening else said or {},
        sampling=sampling or {},
    )
    if screening:
        audit.record(
            screening.findings,
            site=conversation.site,
            conversation_id=conversation.pk,
            message_id=question.pk,
            policy_version=screening.policy_version,
        )
    return turn


def _verdict(screening: Screening) -> dict[str, Any]:
    return {
        "verdict": screening.verdict,
        "reply": screening.reply,
        "checks": sorted({finding.check for finding in screening.findings}),
        "policy_version": screening.policy_version,
    }


def _find_turn(conversation: Conversation, client_id: uuid.UUID) -> Turn | None:
    """The turn that an earlier request with this id began, whether it asked or regenerated."""
    message = Message.objects.filter(conversation=conversation, client_id=client_id).first()
    if message is None:
        return None
    if message.role == Message.Role.ASSISTANT:
        return message.turn
    return message.turns.order_by("created_at").first()
