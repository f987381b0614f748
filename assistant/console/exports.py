"""Conversations as a file, written by a background job, read by nobody but the one who asked.

CSV has one row for each message, JSONL one line for each conversation. Private values stay sealed:
what is written is the text with its placeholders, as staff see it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from assistant.accounts.models import User
from assistant.console import jobs, selection
from assistant.console.models import Job
from assistant.console.retention import exports_folder
from assistant.conversations.models import Conversation, Message

KIND = "export conversations"
PAGE = 200
FORMULA_STARTS = frozenset("=+-@＝＋－＠\t\r\n")
COLUMNS = (
    *("conversation", "site", "scenario", "title", "message", "role", "created", "text", "state"),
    *("outcome", "feedback", "feedback_reason", "model", "cache_tier", "ttft_ms", "total_ms", "citations"),
)


def start(*, parameters: dict[str, str], file_format: str, created_by: User) -> Job:
    """Begin an export of the conversations that these parameters of the list select."""
    from assistant.console.tasks import export_conversations

    if file_format not in WRITERS:
        raise ValueError(f"{file_format!r} is no export format: choose csv or jsonl.")
    arguments = {"parameters": parameters, "format": file_format}
    return jobs.start(kind=KIND, task=export_conversations, arguments=arguments, created_by=created_by)


def write(claim: jobs.Claim) -> jobs.Result:
    """The job itself. The file appears under its name only when it is whole."""
    arguments = claim.job.arguments
    conversations = selection.select(arguments["parameters"]).select_related("site").order_by("created_at")
    total = conversations.count()
    claim.progress(0, total)
    final = exports_folder() / f"{claim.job.pk}.{arguments['format']}"
    partial = final.with_suffix(f".{claim.token}.part")
    with partial.open("w", encoding="utf-8", newline="") as file:
        write_page = WRITERS[arguments["format"]](file)
        for done, page in _pages(conversations):
            write_page(page)
            claim.progress(done, total)
    partial.replace(final)
    return jobs.Result(_("%(num)d conversations") % {"num": total}, final.name)


def file_of(job: Job, *, asked_by: User) -> Path | None:
    """The finished file, for the one who asked for it and as long as it is kept; else None."""
    if job.kind != KIND or not job.result_path or job.created_by_id != asked_by.pk:
        return None
    path = exports_folder() / Path(job.result_path).name
    return path if path.is_file() else None


def _pages(conversations: QuerySet[Conversation]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """(number done, page of conversations with their messages), by id, so that no page is read twice."""
    ids = list(conversations.values_list("pk", flat=True))
    for start_at in range(0, len(ids), PAGE):
        chunk = ids[start_at : start_at + PAGE]
        found = Conversation.objects.select_related("site").prefetch_related("messages").in_bulk(chunk)
        page = [_as_dict(found[pk]) for pk in chunk if pk in found]
        yield min(start_at + PAGE, len(ids)), page


def _as_dict(conversation: Conversation) -> dict[str, Any]:
    return {
        "id": str(conversation.pk),
        "site": conversation.site.slug,
        "scenario": conversation.scenario,
        "title": conversation.title,
        "locale": conversation.locale,
        "created": conversation.created_at.isoformat(),
        "messages": [_message_as_dict(message) for message in conversation.messages.all()],
    }


def _message_as_dict(message: Message) -> dict[str, Any]:
    return {
        "id": str(message.pk),
        "parent": str(message.parent_id) if message.parent_id else None,
        "role": message.role,
        "created": message.created_at.isoformat(),
        "text": message.text,
        "state": message.state,
        "outcome": message.outcome,
        "feedback": message.feedback,
        "feedback_reason": message.feedback_reason,
        "citations": message.citations,
        "receipt": message.receipt,
    }


def harmless(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: what would start one gets an apostrophe before it."""
    if isinstance(value, str) and value.lstrip(" ")[:1] in FORMULA_STARTS:
        return "'" + value
    return value


def _csv_writer(file: IO[str]) -> Callable[[list[dict[str, Any]]], None]:
    file.write("\ufeff")  # spreadsheets take UTF-8 for something else without it
    writer = csv.writer(file)
    writer.writerow(COLUMNS)

    def write_page(page: list[dict[str, Any]]) -> None:
        for conversation in page:
            for message in conversation["messages"]:
                writer.writerow([harmless(value) for value in _row(conversation, message)])

    return write_page


def _row(conversation: dict[str, Any], message: dict[str, Any]) -> list[Any]:
    receipt = message["receipt"]
    return [
        *(conversation["id"], conversation["site"], conversation["scenario"], conversation["title"]),
        *(message["id"], message["role"], message["created"], message["text"], message["state"]),
        *(message["outcome"], message["feedback"], message["feedback_reason"], receipt.get("model", "")),
        *(
            (receipt.get("cache") or {}).get("tier", ""),
            receipt.get("ttft_ms", ""),
            receipt.get("total_ms", ""),
        ),
        " ".join(str(citation.get("url") or citation.get("path", "")) for citation in message["citations"]),
    ]


def _jsonl_writer(file: IO[str]) -> Callable[[list[dict[str, Any]]], None]:
    def write_page(page: list[dict[str, Any]]) -> None:
        for conversation in page:
            file.write(json.dumps(conversation, ensure_ascii=False) + "\n")

    return write_page


WRITERS: dict[str, Callable[[IO[str]], Callable[[list[dict[str, Any]]], None]]] = {
    "csv": _csv_writer,
    "jsonl": _jsonl_writer,
}
