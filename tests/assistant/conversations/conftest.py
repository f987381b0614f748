"""A site, a visitor with a token, a scripted engine, and a client that keeps the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from assistant.accounts import principals, visitors
from assistant.accounts.models import Visitor
from assistant.accounts.principals import Principal
from assistant.conversations import runner
from assistant.redis import get_async_redis
from assistant.widget.models import Site
from tests.support.scripted_engine import ScriptedEngine
from tests.support.valkey import ValkeyServer
from tests.support.web import WebServer

PLAIN = "tests.support.plain_scenario.Plain"


@dataclass
class Person:
    visitor: Visitor
    token: str

    @property
    def principal(self) -> Principal:
        return principals.of_visitor(self.visitor)


@pytest.fixture(scope="session")
def engine_process() -> Iterator[ScriptedEngine]:
    with ScriptedEngine(rate=400, max_streams=64, max_waiting=64) as engine:
        yield engine


@pytest.fixture
def engine(engine_process: ScriptedEngine, settings: Any) -> Iterator[ScriptedEngine]:
    """A scripted engine that this process asks; started anew if the test before killed it."""
    if engine_process.process is None or engine_process.process.poll() is not None:
        engine_process.start()
    settings.ENGINE_SOCKET = settings.EMBEDDINGS_SOCKET = Path(engine_process.socket_path)
    settings.SCENARIOS = [PLAIN]
    yield engine_process
    engine_process.rules = []


@pytest.fixture(scope="module")
def web_process(engine_process: ScriptedEngine, django_db_setup: None) -> Iterator[WebServer]:
    """A real web process, one a module: its recovery would take over turns of tests beside it."""
    with WebServer(engine_socket=engine_process.socket_path, environment={"TEST_SCENARIOS": PLAIN}) as server:
        yield server


@pytest.fixture
def server(web_process: WebServer, engine: ScriptedEngine, valkey: ValkeyServer, site: Site) -> WebServer:
    if not web_process.is_up():
        web_process.start()
    return web_process


@pytest.fixture
def site(transactional_db: None) -> Site:
    return Site.objects.create(slug="shop", name="Shop", scenario="plain")


def make_person(site: Site) -> Person:
    visitor = visitors.new_visitor(site=site)
    return Person(visitor, visitors.issue_token(visitor=visitor).token)


@pytest.fixture
def visitor(site: Site) -> Person:
    return make_person(site)


@pytest.fixture
def stranger(site: Site) -> Person:
    return make_person(site)


@pytest_asyncio.fixture
async def web(engine: ScriptedEngine, valkey: ValkeyServer, site: Site) -> AsyncIterator[None]:
    """The web side inside this process: its runner ends with the test, as do its connections."""
    yield
    await runner.get_runner().close()
    await asyncio.gather(get_async_redis().aclose(), return_exceptions=True)
