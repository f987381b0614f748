"""The console's forms: what they refuse, what they make, and what the first page says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from assistant.console.models import Job
from assistant.knowledge.models import Article, Collection
from assistant.safety import policies
from assistant.safety.models import Policy
from tests.assistant.console.conftest import Talk
from tests.assistant.console.test_audit import site_form

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("https://Shop.example/", ["https://shop.example"]),
        ("https://a.example\n\nhttp://localhost:3000", ["https://a.example", "http://localhost:3000"]),
        ("https://*.example", None),
        ("shop.example", None),
        ("https://shop.example/path", None),
        ("https://a.example; script-src *", None),
        ("javascript:alert(1)", None),
    ],
)
def test_only_origins_are_allowed(
    as_: Callable[[str], Client], talk: Talk, typed: str, kept: list[str] | None
) -> None:
    address = reverse("admin:widget_site_change", args=[talk.site.pk])
    answer = as_("editor").post(address, site_form(allowed_origins=typed))
    talk.site.refresh_from_db()
    assert answer.status_code == (302 if kept else 200)
    assert talk.site.allowed_origins == (kept or [])


def test_greeting_is_kept_by_language_and_foreign_ones_stay(as_: Callable[[str], Client], talk: Talk) -> None:
    talk.site.greeting = {"fr": "Bonjour"}
    talk.site.save()
    words = {"greeting_en": "Hello", "greeting_zh-hans": "您好", "starters_en": "One?\nTwo?"}
    as_("editor").post(reverse("admin:widget_site_change", args=[talk.site.pk]), site_form(**words))
    talk.site.refresh_from_db()
    assert talk.site.greeting == {"fr": "Bonjour", "en": "Hello", "zh-hans": "您好"}
    assert talk.site.starters == {"en": ["One?", "Two?"]}


def test_snippet_is_shown_as_text(as_: Callable[[str], Client], talk: Talk) -> None:
    page = as_("agent").get(reverse("admin:widget_site_change", args=[talk.site.pk])).content.decode()
    assert "&lt;parley-chat site=&quot;shop&quot;&gt;" in page
    assert "<parley-chat" not in page


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        ("{", "This is not JSON"),
        ("[]", "must be an object"),
        ('{"insults": "block"}', "no such rule"),
        ('{"insult": "shoot"}', "insult"),
    ],
)
def test_bad_rules_are_refused_with_the_reason(
    as_: Callable[[str], Client], rules: str, complaint: str
) -> None:
    form = {"scenario": "", "rules": rules, "note": ""}
    answer = as_("editor").post(reverse("admin:safety_policy_add"), form)
    assert complaint in answer.content.decode()
    assert not Policy.objects.exists()


def test_edit_of_a_policy_is_a_new_version_and_the_old_one_stays(
    as_: Callable[[str], Client], talk: Talk, staff: dict[str, object]
) -> None:
    client = as_("editor")
    old = policies.publish(site=talk.site, scenario="support", rules={"insult": "flag"}, by=None)
    add = reverse("admin:safety_policy_add")
    assert "&quot;flag&quot;" in client.get(add, {"from": old.pk}).content.decode()
    form = {"site": talk.site.pk, "scenario": "support", "rules": '{"insult": "block"}', "note": "stricter"}
    assert client.post(add, form).status_code == 302
    old.refresh_from_db()
    new = Policy.objects.get(is_active=True)
    assert (new.version, old.is_active, old.rules) == (old.version + 1, False, {"insult": "flag"})
    page = client.get(reverse("admin:safety_policy_change", args=[new.pk])).content.decode()
    assert 'pc-diff--out">-   &quot;insult&quot;: &quot;flag&quot;' in page
    assert 'pc-diff--in">+   &quot;insult&quot;: &quot;block&quot;' in page


def test_policy_that_was_published_cannot_be_changed(as_: Callable[[str], Client]) -> None:
    old = policies.publish(site=None, scenario="", rules={}, by=None)
    answer = as_("administrator").post(
        reverse("admin:safety_policy_change", args=[old.pk]), {"rules": '{"insult": "block"}'}
    )
    old.refresh_from_db()
    assert (answer.status_code, old.rules) == (403, {})


def test_upload_starts_the_job_that_reads_the_files(as_: Callable[[str], Client]) -> None:
    collection = Collection.objects.create(slug="docs", name="Docs")
    file = SimpleUploadedFile("guide.md", b"# Guide\n\nPress the green button to start the machine.\n")
    address = reverse("admin:knowledge_collection_upload", args=[collection.pk])
    answer = as_("editor").post(address, {"files": [file]})
    job = Job.objects.get()
    assert answer["Location"].endswith(f"#{job.pk}")
    assert job.arguments["collection"] == collection.pk


def test_refused_file_is_told_and_starts_nothing(as_: Callable[[str], Client]) -> None:
    collection = Collection.objects.create(slug="docs", name="Docs")
    file = SimpleUploadedFile("program.exe", b"MZ\0\0")
    address = reverse("admin:knowledge_collection_upload", args=[collection.pk])
    answer = as_("editor").post(address, {"files": [file]}, follow=True)
    assert "program.exe" in answer.content.decode()
    assert not Job.objects.exists()


def test_deleted_article_makes_cached_answers_unreachable(as_: Callable[[str], Client]) -> None:
    collection = Collection.objects.create(slug="docs", name="Docs")
    article = Article.objects.create(
        collection=collection, path="a.md", title="A", markdown="a", content_hash="x"
    )
    as_("editor").post(reverse("admin:knowledge_article_delete", args=[article.pk]), {"post": "yes"})
    before = collection.epoch
    collection.refresh_from_db()
    assert not Article.objects.exists()
    assert collection.epoch == before + 1


def test_first_page_draws_the_days_that_were_chosen(as_: Callable[[str], Client], talk: Talk) -> None:
    page = as_("agent").get(reverse("admin:index"), {"days": 30})
    assert len(page.context["report"].days) == 30
    assert page.content.decode().count("<canvas") == 6


def test_first_page_turns_a_reversed_period_round(as_: Callable[[str], Client], talk: Talk) -> None:
    page = as_("agent").get(reverse("admin:index"), {"since": "2026-02-03", "until": "2026-02-01"})
    assert [str(day.day) for day in page.context["report"].days] == ["2026-02-01", "2026-02-02", "2026-02-03"]


def test_first_page_explains_itself_when_nothing_was_asked(as_: Callable[[str], Client]) -> None:
    page = as_("agent").get(reverse("admin:index")).content.decode()
    assert "No questions in these days" in page
    assert "<canvas" not in page


@pytest.mark.parametrize("parameters", [{"days": "abc"}, {"since": "x", "until": "y"}, {"site": "999"}])
def test_first_page_survives_a_bad_address(
    as_: Callable[[str], Client], talk: Talk, parameters: dict[str, str]
) -> None:
    assert as_("agent").get(reverse("admin:index"), parameters).status_code == 200


def test_console_speaks_chinese(as_: Callable[[str], Client], talk: Talk) -> None:
    page = as_("agent").get(reverse("admin:index"), headers={"Accept-Language": "zh-hans"}).content.decode()
    assert "对话" in page
    assert "首个词元" in page
