"""The cache and the flight as people meet them: whole turns, a real Valkey, a scripted engine."""

from __future__ import annotations

import asyncio
import io
import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from assistant.accounts import principals
from assistant.conversations import turns
from assistant.conversations.database import in_database
from assistant.conversations.models import Message
from assistant.conversations.runner import get_runner
from assistant.redis import get_async_redis, get_redis
from assistant.response_cache import services
from assistant.safety.log_filter import RedactFilter
from assistant.safety.models import Verdict
from assistant.widget.models import Site
from tests.support.people import make_site, make_visitor
from tests.support.scripted_engine import ScriptedEngine
from tests.support.valkey import ValkeyServer


@pytest.fixture(scope="module")
def engine_process() -> Iterator[ScriptedEngine]:
    with ScriptedEngine(rate=200) as engine:
        yield engine


@pytest.fixture
def site(transactional_db: None) -> Site:
    return make_site(scenario="plain")


@pytest_asyncio.fixture
async def engine(
    engine_process: ScriptedEngine, settings: Any, valkey: ValkeyServer, site: Site
) -> AsyncIterator[ScriptedEngine]:
    settings.ENGINE_SOCKET = settings.EMBEDDINGS_SOCKET = Path(engine_process.socket_path)
    settings.SCENARIOS = ["tests.support.plain_scenario.Plain"]
    yield engine_process
    engine_process.rules = []
    await get_runner().close()
    with suppress(Exception):
        await get_async_redis().aclose()


async def ask(site: Site, text: str) -> Message:
    """A new visitor asks in a new conversation; the finished answer."""
    principal = principals.of_visitor(await in_database(make_visitor, site))
    conversation = await in_database(
        turns.open_conversation,
        principal=principal,
        site=site,
        scenario="plain",
        locale="en",
        client_id=uuid.uuid4(),
    )
    turn = await in_database(
        turns.start, conversation=conversation, principal=principal, text=text, client_id=uuid.uuid4()
    )
    await get_runner().run_to_end(turn)
    return await Message.objects.aget(pk=turn.answer_id)


def tier(answer: Message) -> str:
    return str(answer.receipt["cache"]["tier"])


async def test_the_second_asker_gets_the_kept_answer(engine: ScriptedEngine, site: Site) -> None:
    num_requests = engine.stats()["requests"]
    first = await ask(site, "How do I start it?")
    second = await ask(site, "how do I start it")
    assert (tier(first), tier(second)) == ("none", "exact")
    assert second.text == first.text
    assert engine.stats()["requests"] == num_requests + 1


async def test_thirty_askers_at_once_cost_one_generation(engine: ScriptedEngine, site: Site) -> None:
    num_requests = engine.stats()["requests"]
    answers = await asyncio.gather(*(ask(site, "All at once?") for _ in range(30)))
    assert engine.stats()["requests"] == num_requests + 1
    assert len({answer.text for answer in answers}) == 1
    assert {answer.state for answer in answers} == {"complete"}
    assert sorted({tier(answer) for answer in answers}) in (["exact", "flight", "none"], ["flight", "none"])


async def test_a_retraction_reaches_all_askers_and_the_cache(engine: ScriptedEngine, site: Site) -> None:
    num_requests = engine.stats()["requests"]
    text = "Who knows?"
    # Slow enough that all five ask before it is over, on a busy machine too.
    said = "One moment please. " * 3 + "It is bob@other.example, I believe."
    engine.rules = [{"match": "Who knows", "say": said, "rate": 6}]
    answers = await asyncio.gather(*(ask(site, text) for _ in range(5)))
    assert engine.stats()["requests"] == num_requests + 1
    assert {(answer.state, answer.outcome) for answer in answers} == {("retracted", "blocked")}
    assert not any("bob" in answer.text or "moment" in answer.text for answer in answers)
    assert await Verdict.objects.filter(action="retract").acount() == 5
    assert tier(await ask(site, text)) == "none"


async def test_an_answer_taken_back_is_made_anew(engine: ScriptedEngine, site: Site) -> None:
    await ask(site, "Taken back?")
    shown = await ask(site, "Taken back?")
    assert tier(shown) == "exact"
    assert await in_database(services.forget, shown.pk)
    assert tier(await ask(site, "Taken back?")) == "none"


async def test_a_canary_stays_with_its_owner(
    engine: ScriptedEngine, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """S6: two visitors, the same words, every cache on; one holds a canary."""
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.addFilter(RedactFilter())
    logging.getLogger().addHandler(handler)
    try:
        with caplog.at_level(logging.DEBUG):
            mine = await ask(
                site, "Is canary7f3a@mine.example registered? [[say:Yes, [EMAIL_1] is registered.]]"
            )
            theirs = await ask(
                site, "Is other@their.example registered? [[say:Yes, [EMAIL_1] is registered.]]"
            )
            general = await ask(site, "Is anybody registered?")
    finally:
        logging.getLogger().removeHandler(handler)
    assert tier(theirs) == "none"
    assert mine.text == "Yes, [EMAIL_1] is registered."
    spoken = "".join(message["content"] for call in engine.calls() for message in call["messages"])
    rows = [str(row) async for row in Message.objects.values_list("text", "private", "receipt", "citations")]
    redis = get_redis()
    kept = [redis.dump(key) or b"" for key in redis.keys("*")]
    assert len(kept) > 3
    for place in (theirs.text, general.text, spoken, *rows, lines.getvalue(), str(kept)):
        assert "canary7f3a" not in place


async def test_without_valkey_everybody_gets_an_answer(
    engine: ScriptedEngine, site: Site, valkey: ValkeyServer
) -> None:
    await ask(site, "Still there?")
    valkey.stop()
    answers = await asyncio.gather(*(ask(site, "Still there?") for _ in range(2)))
    assert {answer.state for answer in answers} == {"complete"}
    assert {tier(answer) for answer in answers} == {"none"}
