"""What staff may do, as Django groups: agent, editor, trainer, administrator.

A rule names an app, or one model of it, and the actions. Groups are filled after every `migrate`, one
app at a time as its permissions come to exist, so a new model reaches its roles without a migration of
ours. Nothing is taken away: what an operator added to a group stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import AppConfig
from django.apps import apps as every_app
from django.apps.registry import Apps
from django.contrib.auth.models import Group, Permission

Rules = dict[str, tuple[str, ...]]

LOOK = ("view",)
TAKE_PART = ("view", "change")
EDIT = ("view", "add", "change", "delete")

AGENT: Rules = {
    "conversations": TAKE_PART,
    "support": ("view", "add", "change"),
    "safety.verdict": LOOK,
    "accounts.visitor": LOOK,
    "widget": LOOK,
    "knowledge": LOOK,
    "console": LOOK,
}
EDITOR: Rules = {
    **AGENT,
    "knowledge": EDIT,
    "widget": ("view", "add", "change"),
    "safety.policy": ("view", "add", "change"),
}
TRAINER: Rules = {**AGENT, "training": EDIT, "console": ("view", "add")}
ADMINISTRATOR: Rules = {"*": EDIT}
ROLES: dict[str, Rules] = {
    "agent": AGENT,
    "editor": EDITOR,
    "trainer": TRAINER,
    "administrator": ADMINISTRATOR,
}


def grant(sender: AppConfig, apps: Apps = every_app, using: str = "default", **_kwargs: Any) -> None:
    """Give every role its permissions on the models of one app. Safe to repeat."""
    if "auth" not in apps.app_configs:
        return  # migrated only so far that groups do not exist
    for role, rules in ROLES.items():
        group, _is_new = Group.objects.using(using).get_or_create(name=role)
        group.permissions.add(*_permissions(sender.label, rules, using=using))


def _permissions(label: str, rules: Rules, *, using: str) -> Iterator[Permission]:
    found = Permission.objects.using(using).filter(content_type__app_label=label)
    for permission in found.select_related("content_type"):
        model = permission.content_type.model
        actions = rules.get(f"{label}.{model}") or rules.get(label) or rules.get("*") or ()
        if permission.codename.removesuffix(f"_{model}") in actions:
            yield permission
