"""The console's own pages in Chromium: accessible in light and dark, live, and within their policy."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from django.urls import reverse
from playwright.sync_api import BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from assistant.accounts.models import User
from assistant.console import jobs, tasks
from assistant.conversations import events
from assistant.conversations.models import Message, Turn
from assistant.knowledge.models import Collection
from assistant.redis import get_redis
from tests.assistant.console.conftest import Talk
from tests.support.browser import complaints_of
from tests.support.valkey import ValkeyServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def signed_in(
    as_: Callable[[str], Client], context: BrowserContext, live_server: LiveServer
) -> Callable[[str], Page]:
    """A page of the browser in which one of the four is signed in."""

    def open_page(role: str) -> Page:
        session = as_(role).cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        return context.new_page()

    return open_page


def serious_violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_own_pages_are_accessible_and_keep_their_policy(
    signed_in: Callable[[str], Page], live_server: LiveServer, talk: Talk, scheme: str
) -> None:
    collection = Collection.objects.create(slug="docs", name="Docs")
    page = signed_in("administrator")
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    complaints = complaints_of(page)
    for address in (
        reverse("admin:index"),
        reverse("admin:conversations_conversation_change", args=[talk.conversation.pk]),
        reverse("admin:knowledge_collection_change", args=[collection.pk]),
        reverse("admin:widget_site_change", args=[talk.site.pk]),
    ):
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(live_server.url + address)
        page.wait_for_load_state("networkidle")
        assert serious_violations(page) == [], address
        page.set_viewport_size({"width": 390, "height": 844})
        page.wait_for_function("document.documentElement.scrollWidth <= innerWidth", timeout=5000)
    assert complaints == []


def test_snippet_is_copied(
    signed_in: Callable[[str], Page], context: BrowserContext, live_server: LiveServer, talk: Talk
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = signed_in("agent")
    page.goto(live_server.url + reverse("admin:widget_site_change", args=[talk.site.pk]))
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines()[1] == '<parley-chat site="shop"></parley-chat>'


def test_open_transcript_follows_the_answer_while_it_streams(
    signed_in: Callable[[str], Page], live_server: LiveServer, valkey: ValkeyServer, talk: Talk
) -> None:
    Message.objects.filter(pk=talk.answer.pk).update(state="streaming", text="", outcome="")
    Turn.objects.update(state="running")
    page = signed_in("agent")
    address = reverse("admin:conversations_conversation_change", args=[talk.conversation.pk])
    page.goto(live_server.url + address)
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    for seq, word in enumerate(("Parcels", " travel", " **slowly**."), start=1):
        body = {"turn": str(talk.turn.pk), "type": "delta", "message": str(talk.answer.pk), "text": word}
        # As `events.append` does, which cannot be awaited here: the browser's driver owns this thread's loop.
        get_redis().xadd(events.key_of(str(talk.conversation.pk)), {"b": json.dumps(body)}, id=f"1-{seq}")
        expect(page.locator(".pc-bubble--assistant")).to_contain_text(word.strip(" *."))
    expect(page.locator(".pc-bubble--assistant strong", has_text="slowly")).to_be_visible()
    Message.objects.filter(pk=talk.answer.pk).update(state="complete", text="Parcels travel **slowly**.")
    Turn.objects.update(state="done")
    expect(page.get_by_text("live", exact=True)).to_be_hidden()
    expect(page.locator(".pc-bubble--assistant .pc-tag--complete")).to_be_visible()


def test_page_of_jobs_moves_with_the_job(
    signed_in: Callable[[str], Page], live_server: LiveServer, staff: dict[str, User], valkey: ValkeyServer
) -> None:
    job = jobs.start(kind="export conversations", task=tasks.export_conversations)
    claim = jobs.claim(job.pk)
    assert claim is not None
    claim.progress(1, 10)
    page = signed_in("trainer")
    page.goto(live_server.url + reverse("admin:console_job_changelist"))
    expect(page.get_by_text("1 / 10")).to_be_visible()
    claim.reported_at = 0
    claim.progress(7, 10)
    expect(page.get_by_text("7 / 10")).to_be_visible()
    claim.finish(jobs.Result("ten conversations"))
    expect(page.get_by_text("ten conversations")).to_be_visible()
