"""What each of the four may see and do, on every page of the console that is found in its addresses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from assistant.accounts.models import User
from assistant.console.models import Job
from assistant.safety.models import Policy
from tests.assistant.console.conftest import ROLES, Talk

pytestmark = pytest.mark.django_db

EVERYBODY = set(ROLES)
KNOWLEDGEABLE = {"editor", "administrator"}
ADMINISTRATOR = {"administrator"}

# For each list who may look, and who may open the form that adds to it.
LISTS: dict[str, tuple[set[str], set[str]]] = {
    "conversations_conversation": (EVERYBODY, set()),
    "support_ticket": (EVERYBODY, set()),
    "widget_site": (EVERYBODY, KNOWLEDGEABLE),
    "knowledge_collection": (EVERYBODY, KNOWLEDGEABLE),
    "knowledge_article": (EVERYBODY, set()),
    "safety_policy": (KNOWLEDGEABLE, KNOWLEDGEABLE),
    "safety_verdict": (EVERYBODY, set()),
    "console_job": (EVERYBODY, set()),
    "accounts_user": (ADMINISTRATOR, ADMINISTRATOR),
    "auth_group": (ADMINISTRATOR, ADMINISTRATOR),
    "accounts_apikey": (ADMINISTRATOR, ADMINISTRATOR),
    "auditlog_logentry": (ADMINISTRATOR, set()),
    "axes_accessattempt": (ADMINISTRATOR, set()),
    "django_celery_beat_periodictask": (ADMINISTRATOR, set()),
}


def test_table_names_every_page_of_the_console() -> None:
    registered = {f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry}
    assert registered == set(LISTS)


@pytest.mark.parametrize("role", ROLES)
def test_role_sees_and_adds_what_the_table_says(as_: Callable[[str], Client], role: str) -> None:
    client = as_(role)
    seen = {name for name in LISTS if client.get(reverse(f"admin:{name}_changelist")).status_code == 200}
    added = {name for name in LISTS if client.get(reverse(f"admin:{name}_add")).status_code == 200}
    assert seen == {name for name, (may_look, _may_add) in LISTS.items() if role in may_look}
    assert added == {name for name, (_may_look, may_add) in LISTS.items() if role in may_add}


@pytest.mark.parametrize("role", ROLES)
def test_only_editors_retract(as_: Callable[[str], Client], talk: Talk, role: str) -> None:
    answer = as_(role).post(reverse("admin:conversations_retract", args=[talk.answer.pk]))
    talk.answer.refresh_from_db()
    assert (answer.status_code == 302) == (talk.answer.state == "retracted") == (role in KNOWLEDGEABLE)


@pytest.mark.parametrize("role", ROLES)
def test_only_trainers_and_administrators_export(as_: Callable[[str], Client], talk: Talk, role: str) -> None:
    as_(role).post(reverse("admin:conversations_export"), {"format": "csv"})
    assert Job.objects.exists() == (role in {"trainer", "administrator"})


@pytest.mark.parametrize("role", ROLES)
def test_only_editors_rotate_a_secret(as_: Callable[[str], Client], talk: Talk, role: str) -> None:
    as_(role).post(reverse("admin:widget_site_rotate", args=[talk.site.pk]))
    talk.site.refresh_from_db()
    assert bool(talk.site.identity_secret) == (role in KNOWLEDGEABLE)


@pytest.mark.parametrize("role", ROLES)
def test_only_editors_publish_policies(as_: Callable[[str], Client], role: str) -> None:
    as_(role).post(reverse("admin:safety_policy_add"), {"scenario": "", "rules": "{}", "note": ""})
    assert Policy.objects.exists() == (role in KNOWLEDGEABLE)


def addresses(talk: Talk) -> dict[str, str]:
    return {
        "export": reverse("admin:conversations_export"),
        "retract": reverse("admin:conversations_retract", args=[talk.answer.pk]),
        "rotate": reverse("admin:widget_site_rotate", args=[talk.site.pk]),
        "upload": reverse("admin:knowledge_collection_upload", args=[1]),
        "reindex": reverse("admin:knowledge_collection_reindex", args=[1]),
    }


@pytest.mark.parametrize("kind", ["nobody", "user", "staff without a role", "staff without a second factor"])
def test_others_get_nothing(talk: Talk, kind: str) -> None:
    client = Client()
    if kind != "nobody":
        user = User.objects.create(email="x@example.com", is_staff=kind != "user")
        user.is_superuser = kind == "staff without a second factor"
        user.save()
        if kind == "staff without a role":
            TOTP.activate(user, generate_totp_secret())
        client.force_login(user)
    live = reverse("admin:conversations_live", args=[talk.conversation.pk])
    answers = [client.get(live), client.get(reverse("admin:console_job_progress"))]
    answers += [client.post(address) for address in addresses(talk).values()]
    for answer in answers:
        assert answer.status_code in {302, 403}
        if answer.status_code == 302:
            assert answer["Location"].startswith(("/accounts/", "/console/login/"))
    talk.answer.refresh_from_db()
    assert talk.answer.state == "complete"
    assert not Job.objects.exists()


@pytest.mark.parametrize("name", ["export", "retract", "rotate", "upload", "reindex"])
def test_nothing_changes_by_an_address_alone(as_: Callable[[str], Client], talk: Talk, name: str) -> None:
    assert as_("administrator").get(addresses(talk)[name]).status_code == 405


def test_administrator_cannot_rise_to_superuser(as_: Callable[[str], Client]) -> None:
    user = User.objects.create(email="ann@example.com")
    address = reverse("admin:accounts_user_change", args=[user.pk])
    as_("administrator").post(
        address, {"email": user.email, "locale": "en", "is_staff": "on", "is_superuser": "on"}
    )
    user.refresh_from_db()
    assert (user.is_staff, user.is_superuser) == (True, False)


def test_administrator_cannot_touch_a_superuser(as_: Callable[[str], Client]) -> None:
    root = User.objects.create(email="root@example.com", is_superuser=True)
    client = as_("administrator")
    assert client.post(reverse("admin:accounts_user_change", args=[root.pk]), {}).status_code == 403
    assert client.post(reverse("admin:auth_user_password_change", args=[root.pk]), {}).status_code == 403
