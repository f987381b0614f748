from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from django.core.cache import caches
from django.core.management import call_command

from assistant.conversations.models import Message
from assistant.redis import get_redis
from assistant.response_cache import services
from assistant.response_cache.bypass import left_aside
from assistant.response_cache.entries import Answer
from assistant.response_cache.flight import Leader
from assistant.response_cache.keys import cache_key
from tests.assistant.response_cache.conftest import answer, question
from tests.support.people import make_site
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.usefixtures("valkey")
MakeAnswer = Callable[..., Answer]


def test_a_kept_answer_is_given_again_to_another_spelling(make_answer: MakeAnswer) -> None:
    kept = make_answer(citations=[{"number": 1, "path": "README.md"}])
    assert services.store(question(), kept)
    hit = services.lookup(question("how do I START it"))
    assert hit is not None
    assert hit.answer == kept
    assert hit.receipt["tier"] == "exact"


@pytest.mark.parametrize("outcome", ["blocked", "helped", "error", ""])
def test_only_answers_that_were_finished_and_cleared_are_kept(make_answer: MakeAnswer, outcome: str) -> None:
    assert not services.store(question(), make_answer(outcome=outcome))
    assert services.lookup(question()) is None


def test_what_history_or_a_tool_shaped_is_not_shared(make_answer: MakeAnswer) -> None:
    assert not services.store(question(), make_answer(is_shareable=False))
    assert services.lookup(question()) is None


def test_a_private_answer_is_its_owners_alone(make_answer: MakeAnswer) -> None:
    mine = question("Is [EMAIL_1] registered?", user_scope="visitor:1")
    services.store(mine, make_answer("canary-7f3a", is_shareable=False))
    assert services.lookup(mine) is not None
    assert services.lookup(replace(mine, user_scope="visitor:2")) is None
    assert services.lookup(replace(mine, user_scope="")) is None


def test_a_changed_article_makes_the_answer_unreachable(make_answer: MakeAnswer) -> None:
    services.store(question(), make_answer())
    assert services.lookup(question(knowledge_epoch=4)) is None


@pytest.mark.parametrize("rubbish", [b"not json", b'"tampered"', b"[1, 2]", b"\x80\x04pickle", b"7"])
def test_a_corrupt_entry_is_a_miss_and_goes(make_answer: MakeAnswer, rubbish: bytes) -> None:
    services.store(question(), make_answer())
    stored = caches["responses"].make_key(cache_key(question()))
    assert get_redis().exists(stored)
    get_redis().set(stored, rubbish)
    assert services.lookup(question()) is None
    assert not get_redis().exists(stored)


def test_an_entry_moved_to_another_question_is_refused(make_answer: MakeAnswer) -> None:
    services.store(question("mine", user_scope="user:1"), make_answer("secret"))
    cache = caches["responses"]
    cache.set(cache_key(question()), cache.get(cache_key(question("mine", user_scope="user:1"))))
    assert services.lookup(question()) is None


@pytest.mark.parametrize("state", ["retracted", "failed"])
def test_the_database_has_the_last_word(make_answer: MakeAnswer, state: str) -> None:
    kept = make_answer()
    services.store(question(), kept)
    Message.objects.filter(pk=kept.message_id).update(state=state)
    assert services.lookup(question()) is None


def test_an_answer_whose_conversation_was_deleted_is_not_given_again(make_answer: MakeAnswer) -> None:
    kept = make_answer()
    services.store(question(), kept)
    Message.objects.get(pk=kept.message_id).conversation.delete()
    assert services.lookup(question()) is None


def test_forgetting_reaches_the_entry_through_any_message_that_showed_it(make_answer: MakeAnswer) -> None:
    kept, shown = make_answer(), make_answer()
    services.store(question(), kept)
    services.link(message_id=shown.message_id, key=cache_key(question()))
    assert services.forget(shown.message_id)
    assert services.lookup(question()) is None
    assert not services.forget("unknown")


def test_a_replay_is_the_text_in_pieces(make_answer: MakeAnswer) -> None:
    text = "One. Two!  Three\n\n```\ncode\n```\n" + "long " * 300 + "\n中文。完"
    pieces = list(make_answer(text).replay())
    assert "".join(pieces) == text
    assert len(pieces) > 6


def test_without_valkey_everything_is_a_miss(make_answer: MakeAnswer, valkey: ValkeyServer) -> None:
    kept = make_answer()
    services.store(question(), kept)
    valkey.stop()
    assert services.lookup(question()) is None
    assert not services.store(question(), kept)
    assert not services.forget(kept.message_id)


def test_a_stalled_valkey_costs_seconds_at_most(make_answer: MakeAnswer, valkey: ValkeyServer) -> None:
    services.store(question(), make_answer())
    valkey.stall()
    started = time.monotonic()
    assert services.lookup(question()) is None
    assert time.monotonic() - started < 10


async def test_a_measurement_leaves_the_cache_aside(valkey: ValkeyServer) -> None:
    with left_aside():
        assert await asyncio.to_thread(services.lookup, question()) is None
        assert not services.store(question(), answer())
        seats = [await asyncio.create_task(services.join(question())) for _ in range(2)]
    assert all(isinstance(seat, Leader) for seat in seats)
    assert get_redis().dbsize() == 0


def test_a_hit_is_given_at_once(db: None) -> None:
    site, out = make_site(), io.StringIO()
    call_command("measure_cache", site=site.slug, num=50, stdout=out)
    p50_ms = float(out.getvalue().split("p50 ")[1].split(" ms")[0])
    assert p50_ms < 50  # some 1 ms on a quiet machine
    assert get_redis().dbsize() == 0
