"""The audit log: every change staff make is one row that says who, what, before and after.

django-auditlog writes rows for saves and deletions of the models below; `record` writes those of
services that change rows in bulk, and of acts that change none. Changes by the program itself are not
staff's and are left out. Secrets are covered, and people's words never enter the log.
"""

from __future__ import annotations

from typing import Any

from auditlog.context import auditlog_value
from auditlog.models import LogEntry
from auditlog.registry import auditlog
from auditlog.signals import pre_log
from django.contrib.auth.models import Group
from django.db.models import Model

from assistant.accounts.models import ApiKey, User
from assistant.console.models import Job
from assistant.conversations.models import Conversation, Message
from assistant.knowledge.models import Article, Collection
from assistant.support.models import Ticket
from assistant.widget.models import Site

COVER = "assistant.console.audit.cover"


def cover(value: str) -> str:
    """A secret as the log may show it: only whether there is one."""
    return "" if value in {"", "None"} else "•••"


def register() -> None:
    """Called once, when the app is ready."""
    auditlog.register(User, exclude_fields=["last_login"], mask_fields=["password"], mask_callable=COVER)
    auditlog.register(Group, m2m_fields={"permissions"})
    auditlog.register(ApiKey, exclude_fields=["last_used_at"], mask_fields=["key_hash"], mask_callable=COVER)
    auditlog.register(Site, m2m_fields={"collections"}, mask_fields=["identity_secret"], mask_callable=COVER)
    auditlog.register(Collection, exclude_fields=["epoch"])
    auditlog.register(Article)
    auditlog.register(Ticket, exclude_fields=["transcript"])
    auditlog.register(Job, include_fields=["kind", "arguments"])
    # What people wrote must be gone when it is deleted, so only the fact is kept.
    auditlog.register(Conversation, include_fields=["site", "scenario", "created_at"])
    pre_log.connect(_is_by_staff, dispatch_uid="console.audit")


def record(instance: Model, *, by: User, changes: dict[str, tuple[Any, Any]]) -> LogEntry:
    """One row for what a service did: {field: (before, after)}. Shows the id of a message, not its text."""
    shown = {name: [str(before), str(after)] for name, (before, after) in changes.items()}
    entry: LogEntry = LogEntry.objects.log_create(
        instance,
        force_log=True,
        action=LogEntry.Action.UPDATE,
        changes=shown,
        actor=by,
        object_repr=_name_of(instance),
    )
    return entry


def _name_of(instance: Model) -> str:
    return f"message {instance.pk}" if isinstance(instance, Message) else str(instance)


def _is_by_staff(**_signal: Any) -> bool:
    actor = auditlog_value.get({}).get("actor")
    return bool(actor and actor.is_staff)
