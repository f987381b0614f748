"""One's own conversations over HTTP: list, search, look, rename, export, delete."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Literal

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Field, NinjaAPI, Query, Router, Schema, Status

from assistant.accounts import principals
from assistant.accounts.errors import NotAuthenticated
from assistant.conversations import history, transcript, turns
from assistant.conversations.access import find_conversation
from assistant.conversations.errors import NotFound, Refused
from assistant.conversations.models import Conversation

router = Router(tags=["conversations"])


class Row(Schema):
    id: uuid.UUID
    title: str
    scenario: str
    locale: str
    created: datetime = Field(alias="created_at")
    updated: datetime = Field(alias="updated_at")


class Page(Schema):
    items: list[Row]
    next: str | None


class Rename(Schema):
    title: str = Field(max_length=200)


class Problem(Schema):
    detail: str
    code: str = ""


REFUSALS: dict[int, Any] = {400: Problem, 401: Problem, 403: Problem, 404: Problem}


def _find(request: HttpRequest, conversation_id: uuid.UUID) -> Conversation:
    return find_conversation(principals.from_request(request), conversation_id)


@router.get("", response={200: Page, **REFUSALS})
def list_conversations(
    request: HttpRequest, q: str = Query("", max_length=200), cursor: str = Query("", max_length=100)
) -> dict[str, Any]:
    """Newest first; `q` searches titles and texts, `cursor` is the `next` of the page before."""
    page = history.find(principal=principals.from_request(request), query=q, cursor=cursor)
    return {"items": page.conversations, "next": page.next}


@router.get("/{uuid:conversation_id}", response={200: dict[str, Any], **REFUSALS})
def get_conversation(request: HttpRequest, conversation_id: uuid.UUID) -> dict[str, Any]:
    """The conversation as a socket's snapshot gives it, with the cursor to go on from."""
    frame = transcript.snapshot(_find(request, conversation_id).pk).frame
    return {key: value for key, value in frame.items() if key != "type"}


@router.patch("/{uuid:conversation_id}", response={200: Row, **REFUSALS})
def rename_conversation(request: HttpRequest, conversation_id: uuid.UUID, body: Rename) -> Conversation:
    conversation = _find(request, conversation_id)
    turns.rename(conversation=conversation, title=body.title)
    conversation.refresh_from_db()
    return conversation


@router.delete("/{uuid:conversation_id}", response={204: None, **REFUSALS})
def delete_conversation(request: HttpRequest, conversation_id: uuid.UUID) -> Status[None]:
    turns.delete(conversation=_find(request, conversation_id))
    return Status(204, None)


@router.get("/{uuid:conversation_id}/export", response={200: Any, **REFUSALS})
def export_conversation(
    request: HttpRequest, conversation_id: uuid.UUID, format: Literal["json", "md"] = "json"
) -> HttpResponse:
    """A file: all branches as JSON, or the branch shown as Markdown."""
    conversation = _find(request, conversation_id)
    response: HttpResponse
    if format == "json":
        response = JsonResponse(history.as_json(conversation), json_dumps_params={"ensure_ascii": False})
    else:
        response = HttpResponse(
            history.as_markdown(conversation), content_type="text/markdown; charset=utf-8"
        )
    response["Content-Disposition"] = f'attachment; filename="conversation-{conversation.pk}.{format}"'
    return response


api = NinjaAPI(title="Parley", version="1", urls_namespace="conversations", docs_url=None)
api.add_router("/conversations", router)
api.add_router("/visitor", "assistant.accounts.api.router")


@api.exception_handler(PermissionDenied)
def _denied(request: HttpRequest, error: PermissionDenied) -> HttpResponse:
    status = 401 if isinstance(error, NotAuthenticated) else 403
    return api.create_response(request, {"detail": str(error), "code": "forbidden"}, status=status)


@api.exception_handler(Refused)
def _refused(request: HttpRequest, error: Refused) -> HttpResponse:
    status = 404 if isinstance(error, NotFound) else 400
    return api.create_response(request, {"detail": str(error), "code": error.code}, status=status)
