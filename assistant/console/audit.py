"""The audit log: every change staff make is one row that says who, what, before and after.

django-auditlog writes rows for saves and deletions of the models below; `record` writes those of
services that change rows in bulk, and of acts that change none. Changes by the program itself are not
staff's and are left out. Secrets are covered, and people's words never enter the log.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from auditlog.context import auditlog_value
from auditlog.models import LogEntry
from auditlog.registry import auditlog
from auditlog.signals import pre_log
from django.contrib.auth.models import Group
from django.db.models import Model
from django.db.models.signals import m2m_changed

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
    auditlog.register(Group)
    auditlog.register(ApiKey, exclude_fields=["last_used_at"], mask_fields=["key_hash"], mask_callable=COVER)
    auditlog.register(Site, mask_fields=["identity_secret"], mask_callable=COVER)
    auditlog.register(Collection, exclude_fields=["epoch"])
    auditlog.register(Article)
    auditlog.register(Ticket, exclude_fields=["transcript"])
    auditlog.register(Job, include_fields=["kind", "arguments"])
    pre_log.connect(_is_by_staff, dispatch_uid="console.audit")
    for model, name in ((User, "groups"), (Group, "permissions"), (Site, "collections")):
        through = getattr(model, name).through
        log = partial(_log_relation, field_name=name)
        m2m_changed.connect(log, sender=through, weak=False, dispatch_uid=f"console.audit.{name}")


def record(
    instance: Model, *, by: User, changes: dict[str, tuple[Any, Any]], action: int = LogEntry.Action.UPDATE
) -> LogEntry:
    """One row for what a service did: {field: (before, after)}.

    What people wrote must be gone when it is deleted, so of messages and conversations only ids are shown.
    """
    shown = {name: [str(before), str(after)] for name, (before, after) in changes.items()}
    has_words = isinstance(instance, (Message, Conversation))
    entry: LogEntry = LogEntry.objects.log_create(
        instance,
        force_log=True,
        action=action,
        changes=shown,
        actor=by,
        object_repr=f"{instance._meta.verbose_name} {instance.pk}" if has_words else str(instance),
    )
    return entry


def _log_relation(
    sender: Any,
    instance: Model,
    action: str,
    model: type[Model],
    pk_set: Any,
    *,
    field_name: str,
    **_signal: Any,
) -> None:
    """The library logs every change of a relation, also the program's own; this one only staff's."""
    operations = {"post_add": "add", "post_remove": "delete"}
    if action in operations and _is_by_staff():
        changed = model._default_manager.filter(pk__in=pk_set)
        LogEntry.objects.log_m2m_changes(changed, instance, operations[action], field_name)


def _is_by_staff(**_signal: Any) -> bool:
    actor = auditlog_value.get({}).get("actor")
    return bool(actor and actor.is_staff)
