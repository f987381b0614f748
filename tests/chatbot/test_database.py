"""PostgreSQL under a real web process: connections are lent, not left behind (R19)."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
from django.conf import settings
from django.db import connection

from assistant.accounts import visitors
from assistant.conversations.models import Conversation
from tests.support.people import make_site, make_visitor
from tests.support.valkey import ValkeyServer
from tests.support.web import WebServer

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="needs TEST_DATABASE_URL"),
    pytest.mark.django_db(transaction=True),
]
NUM_REQUESTS, AT_ONCE = 200, 40
# libpq's own variable: the server's list of sessions says by it whose a connection is.
NAME = "parley-pool-test"


def num_connections() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [NAME])
        return int(cursor.fetchone()[0])


async def ask_for_conversations(url: str, token: str) -> list[tuple[int, int]]:
    """(status, conversations listed) of every request, each on a connection of its own."""
    headers = {"Authorization": f"Visitor {token}", "Connection": "close"}
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask(client: httpx.AsyncClient) -> tuple[int, int]:
        async with gate:
            response = await client.get(f"{url}/api/conversations", headers=headers)
        return response.status_code, len(response.json().get("items", []))

    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        return await asyncio.gather(*(ask(client) for _ in range(NUM_REQUESTS)))


def test_200_requests_leave_no_more_connections_than_the_pool_holds(valkey: ValkeyServer) -> None:
    site = make_site()
    visitor = make_visitor(site)
    Conversation.objects.create(site=site, scenario="plain", locale="en", visitor=visitor)
    token = visitors.issue_token(visitor=visitor).token
    with WebServer(environment={"PGAPPNAME": NAME}) as web:
        answers = asyncio.run(ask_for_conversations(web.url, token))
        left = num_connections()
        assert answers == [(200, 1)] * NUM_REQUESTS
        assert 1 <= left <= settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"]
    deadline = time.monotonic() + 10
    while num_connections() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert num_connections() == 0, "the process ended and left its connections"
