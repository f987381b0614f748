"""Chromium against a real web process and a scripted engine; the site is new for each test.

The web process ends with this folder: one that idled beside other tests would take over their turns.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from assistant.widget.models import Site
from tests.browser.screen import Screen, open_page, open_widget
from tests.support.scripted_engine import ScriptedEngine
from tests.support.valkey import ValkeyServer
from tests.support.web import WebServer

SCENARIO = "tests.browser.scenario.Plain"


@pytest.fixture(scope="package")
def engine_process() -> Iterator[ScriptedEngine]:
    with ScriptedEngine(rate=150) as engine:
        yield engine


@pytest.fixture(scope="package")
def web_process(engine_process: ScriptedEngine, django_db_setup: None) -> Iterator[WebServer]:
    environment = {"TEST_SCENARIOS": SCENARIO}
    with WebServer(engine_socket=engine_process.socket_path, environment=environment) as web:
        yield web


@pytest.fixture
def engine(engine_process: ScriptedEngine) -> Iterator[ScriptedEngine]:
    if engine_process.process is None or engine_process.process.poll() is not None:
        engine_process.start()
    yield engine_process
    engine_process.rules = []


@pytest.fixture
def web(
    web_process: WebServer, engine: ScriptedEngine, valkey: ValkeyServer, transactional_db: None
) -> WebServer:
    if web_process.process is None:
        web_process.start()
    return web_process


@pytest.fixture
def site(web: WebServer) -> Site:
    return Site.objects.create(
        slug="demo",
        name="Handbook",
        greeting={"en": "Ask the handbook.", "zh-hans": "请问手册。"},
        starters={"en": ["How do I start?"], "zh-hans": ["怎样开始？"]},
    )


@pytest.fixture
def chat(page: Page, web: WebServer, site: Site) -> Screen:
    """The full chat page, open and connected."""
    return open_page(page, f"{web.url}/chat/")


@pytest.fixture
def widget(page: Page, web: WebServer, site: Site) -> Screen:
    """The widget, open on the demo page."""
    return open_widget(page, f"{web.url}/demo/")
