"""What each role may do."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission

from tests.support.people import make_user

pytestmark = pytest.mark.django_db


def may(role: str) -> set[str]:
    user = make_user(f"{role}@example.com", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return user.get_all_permissions()


def test_an_agent_takes_part_and_changes_nothing_else() -> None:
    seen = may("agent")
    assert {"conversations.change_conversation", "support.change_ticket", "knowledge.view_article"} <= seen
    assert not {"knowledge.change_article", "widget.change_site", "accounts.view_apikey"} & seen
    assert "conversations.delete_conversation" not in seen


def test_an_editor_writes_knowledge_sites_and_policies() -> None:
    seen = may("editor")
    assert {"knowledge.delete_article", "widget.change_site", "safety.add_policy"} <= seen
    assert not {"accounts.change_user", "accounts.add_apikey"} & seen


def test_a_trainer_sees_conversations_but_no_people() -> None:
    seen = may("trainer")
    assert "conversations.view_conversation" in seen
    assert not {"accounts.view_user", "knowledge.change_article"} & seen


def test_an_administrator_may_do_everything() -> None:
    every = {
        f"{permission.content_type.app_label}.{permission.codename}"
        for permission in Permission.objects.select_related("content_type")
        if permission.codename.split("_")[0] in {"view", "add", "change", "delete"}
    }
    assert may("administrator") >= every
