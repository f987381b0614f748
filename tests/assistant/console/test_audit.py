"""Every change that staff make is one row: who, what, before, after; no secret and no words of people."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from assistant.accounts.models import ApiKey, User
from assistant.widget.models import Site
from tests.assistant.console.conftest import Talk

pytestmark = pytest.mark.django_db


def rows_about(model: str) -> list[LogEntry]:
    return list(LogEntry.objects.filter(content_type__model=model).order_by("pk"))


def everything_logged() -> str:
    return json.dumps(list(LogEntry.objects.values("changes", "object_repr", "additional_data")), default=str)


def site_form(**changes: object) -> dict[str, object]:
    form = {
        "name": "Shop",
        "slug": "shop",
        "is_active": "on",
        "scenario": "support",
        "default_locale": "en",
        "allowed_origins": "",
        "color": "#3b5bdb",
        "position": "right",
        "retention_days": 0,
    }
    return form | changes


def test_change_of_a_site_is_one_row_with_before_and_after(
    as_: Callable[[str], Client], staff: dict[str, User], talk: Talk
) -> None:
    client = as_("editor")
    address = reverse("admin:widget_site_change", args=[talk.site.pk])
    LogEntry.objects.all().delete()
    assert client.post(address, site_form(retention_days=30)).status_code == 302
    [row] = rows_about("site")
    assert row.actor == staff["editor"]
    assert row.changes["retention_days"] == ["0", "30"]


def test_rotated_secret_is_logged_but_covered(as_: Callable[[str], Client], talk: Talk) -> None:
    answer = as_("editor").post(reverse("admin:widget_site_rotate", args=[talk.site.pk]))
    secret = answer.context["secret"]
    assert "no-store" in answer["Cache-Control"]
    [row] = rows_about("site")
    assert row.changes["identity_secret"] == ["", "•••"]
    assert secret not in everything_logged()
    talk.site.refresh_from_db()
    assert bytes(talk.site.identity_secret or b"").decode() not in everything_logged()


def test_new_key_is_shown_once_and_never_logged(as_: Callable[[str], Client], talk: Talk) -> None:
    client = as_("administrator")
    form = {"name": "CI", "site": talk.site.pk, "scenario": "support", "max_requests_per_minute": 5}
    answer = client.post(reverse("admin:accounts_apikey_add"), form)
    secret = answer.context["secret"]
    key = ApiKey.objects.get()
    assert secret.startswith(key.prefix)
    assert secret not in everything_logged()
    assert key.key_hash not in everything_logged()
    later = client.get(reverse("admin:accounts_apikey_change", args=[key.pk]))
    assert secret not in later.content.decode()


def test_bulk_revocation_is_one_row_for_each_key(
    as_: Callable[[str], Client], staff: dict[str, User], talk: Talk
) -> None:
    client = as_("administrator")
    form = {"site": talk.site.pk, "scenario": "support", "max_requests_per_minute": 5}
    for name in ("one", "two"):
        client.post(reverse("admin:accounts_apikey_add"), form | {"name": name})
    LogEntry.objects.all().delete()
    keys = [str(key.pk) for key in ApiKey.objects.all()]
    chosen = {"action": "revoke", "_selected_action": keys}
    client.post(reverse("admin:accounts_apikey_changelist"), chosen)
    rows = rows_about("apikey")
    assert len(rows) == 2
    assert all(row.actor == staff["administrator"] and "revoked_at" in row.changes for row in rows)
    assert not ApiKey.objects.filter(revoked_at=None).exists()


def test_changed_password_is_logged_but_covered(as_: Callable[[str], Client]) -> None:
    user = User.objects.create(email="ann@example.com", password="!old")
    address = reverse("admin:auth_user_password_change", args=[user.pk])
    form = {"password1": "another-long-passphrase", "password2": "another-long-passphrase"}
    assert as_("administrator").post(address, form).status_code == 302
    [row] = rows_about("user")
    assert row.changes == {"password": ["•••", "•••"]}


def test_published_policy_is_logged_with_the_rules_before(
    as_: Callable[[str], Client], staff: dict[str, User]
) -> None:
    client = as_("editor")
    for rules in ('{"insult": "flag"}', '{"insult": "block"}'):
        client.post(reverse("admin:safety_policy_add"), {"scenario": "", "rules": rules, "note": ""})
    last = rows_about("policy")[-1]
    assert last.actor == staff["editor"]
    assert [json.loads(side) for side in last.changes["rules"]] == [{"insult": "flag"}, {"insult": "block"}]


def test_change_of_a_role_is_logged(as_: Callable[[str], Client], staff: dict[str, User]) -> None:
    user = User.objects.create(email="ann@example.com", is_staff=True)
    role = Group.objects.get(name="editor")
    form = {"email": user.email, "locale": "en", "is_staff": "on", "is_active": "on", "groups": [role.pk]}
    as_("administrator").post(reverse("admin:accounts_user_change", args=[user.pk]), form)
    [row] = rows_about("user")
    assert row.actor == staff["administrator"]
    assert row.changes["groups"] == {"type": "m2m", "operation": "add", "objects": ["editor"]}


def test_retraction_is_logged_without_the_words(
    as_: Callable[[str], Client], staff: dict[str, User], talk: Talk
) -> None:
    as_("editor").post(reverse("admin:conversations_retract", args=[talk.answer.pk]))
    [row] = rows_about("message")
    assert (row.actor, row.changes) == (staff["editor"], {"state": ["complete", "retracted"]})
    assert "on its way" not in everything_logged()


def test_deleted_conversation_leaves_no_words_in_the_log(as_: Callable[[str], Client], talk: Talk) -> None:
    talk.conversation.title = "A private matter"
    talk.conversation.save()
    address = reverse("admin:conversations_conversation_delete", args=[talk.conversation.pk])
    assert as_("administrator").post(address, {"post": "yes"}).status_code == 302
    assert len(rows_about("conversation")) == 1
    for words in ("private matter", "on its way", "parcel"):
        assert words not in everything_logged()


def test_changes_of_the_program_itself_are_not_staffs(talk: Talk) -> None:
    Site.objects.create(slug="made-by-the-program", name="x")
    assert not LogEntry.objects.exists()


def test_nobody_changes_the_log(as_: Callable[[str], Client], talk: Talk) -> None:
    client = as_("administrator")
    client.post(reverse("admin:widget_site_rotate", args=[talk.site.pk]))
    row = LogEntry.objects.get()
    delete = reverse("admin:auditlog_logentry_delete", args=[row.pk])
    assert client.post(delete, {"post": "yes"}).status_code == 403
    change = reverse("admin:auditlog_logentry_change", args=[row.pk])
    assert client.post(change, {"actor": ""}).status_code == 403
