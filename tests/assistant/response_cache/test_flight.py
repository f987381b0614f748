from __future__ import annotations

import asyncio
import sys
import textwrap
from contextlib import aclosing, suppress

import pytest

from assistant.redis import get_async_redis
from assistant.response_cache import flight
from assistant.response_cache.flight import Chunk, Follower, Landed, Leader, Promoted, Reset, Retracted
from tests.assistant.response_cache.conftest import answer, question
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.usefixtures("valkey")
WORDS = ["One. ", "Two. ", "三。"]


class Askers:
    """What each of many askers saw, and how many generations it took."""

    def __init__(self) -> None:
        self.num_generated = 0

    async def generate(self, leader: Leader) -> str:
        self.num_generated += 1
        async with leader:
            for word in WORDS:
                await asyncio.sleep(0.02)
                await leader.publish(word)
            await leader.land(answer("".join(WORDS)))
        return "".join(WORDS)

    async def ask(self) -> str:
        seat = await flight.join(question())
        if isinstance(seat, Leader):
            return await self.generate(seat)
        return await self.follow(seat)

    async def follow(self, seat: Follower) -> str:
        shown = ""
        async with aclosing(seat.events()) as events:
            async for event in events:
                if isinstance(event, Chunk):
                    shown += event.text
                elif isinstance(event, Reset):
                    shown = ""
                elif isinstance(event, Promoted):
                    return await self.generate(event.leader)
        return shown


async def test_a_hundred_askers_cost_one_generation_and_all_read_all_of_it() -> None:
    askers = Askers()
    shown = await asyncio.gather(*(askers.ask() for _ in range(100)))
    assert askers.num_generated == 1
    assert set(shown) == {"".join(WORDS)}


async def test_a_process_holds_one_reader_however_many_follow() -> None:
    leader = await flight.join(question())
    assert isinstance(leader, Leader)
    askers = Askers()
    tasks = [asyncio.create_task(askers.ask()) for _ in range(50)]
    await asyncio.sleep(0.3)
    clients = await get_async_redis().client_list()
    assert sum("b" in client["flags"] for client in clients) <= 1  # blocked in a read
    await leader.land(answer())
    await asyncio.gather(*tasks)


async def test_a_latecomer_reads_from_the_beginning() -> None:
    leader = await flight.join(question())
    assert isinstance(leader, Leader)
    await leader.publish("One. ")
    await asyncio.sleep(0.05)
    late = await flight.join(question())
    assert isinstance(late, Follower)
    await leader.land(answer("One. "))
    assert await anext(late.events()) == Chunk("One. ")


async def test_other_questions_fly_apart() -> None:
    seats = [await flight.join(question(text)) for text in ("a", "b")]
    assert all(isinstance(seat, Leader) for seat in seats)
    for seat in seats:
        assert isinstance(seat, Leader)
        await seat.abandon()


async def test_askers_of_different_scopes_never_share_a_flight() -> None:
    one = await flight.join(question("[EMAIL_1]?", user_scope="user:1"))
    other = await flight.join(question("[EMAIL_1]?", user_scope="user:2"))
    assert isinstance(one, Leader) and isinstance(other, Leader)
    await one.abandon()
    await other.abandon()


async def test_a_question_that_may_not_be_shared_has_no_followers() -> None:
    seats = [await flight.join(question("Is [EMAIL_1] known?")) for _ in range(2)]
    assert all(isinstance(seat, Leader) and not seat.is_followed for seat in seats)


@pytest.mark.parametrize("way", ["abandon", "raise"])
async def test_when_the_leader_leaves_one_follower_generates_for_the_rest(way: str) -> None:
    leader = await flight.join(question())
    assert isinstance(leader, Leader)
    askers = Askers()
    tasks = [asyncio.create_task(askers.ask()) for _ in range(10)]
    await leader.publish("half an ans")
    await asyncio.sleep(0.1)
    with suppress(RuntimeError):
        async with leader:
            if way == "raise":
                raise RuntimeError("the turn broke")
    assert set(await asyncio.gather(*tasks)) == {"".join(WORDS)}
    assert askers.num_generated == 1


async def test_a_killed_leader_is_replaced_when_its_lease_is_out(valkey: ValkeyServer) -> None:
    script = f"""
        import asyncio, os, django
        django.setup()
        from assistant.response_cache import flight
        from tests.assistant.response_cache.conftest import question
        async def main():
            leader = await flight.join(question())
            await leader.publish("half an ans")
            await asyncio.sleep(0.3)
            print("flying", flush=True)
            await asyncio.sleep(60)
        from django.conf import settings
        settings.REDIS_URL = {valkey.url!r}
        asyncio.run(main())
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(script), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"flying\n"
    askers = Askers()
    tasks = [asyncio.create_task(askers.ask()) for _ in range(3)]
    await asyncio.sleep(0.2)
    process.kill()
    await process.wait()
    async with asyncio.timeout(15):
        assert set(await asyncio.gather(*tasks)) == {"".join(WORDS)}
    assert askers.num_generated == 1


async def test_a_leader_that_declines_lets_everybody_generate_alone() -> None:
    leader = await flight.join(question())
    assert isinstance(leader, Leader)
    askers = Askers()
    tasks = [asyncio.create_task(askers.ask()) for _ in range(5)]
    await asyncio.sleep(0.1)
    await leader.decline()
    await asyncio.gather(*tasks)
    assert askers.num_generated == 5


async def test_a_retraction_reaches_everybody_who_reads_along() -> None:
    leader = await flight.join(question())
    assert isinstance(leader, Leader)
    follower = await flight.join(question())
    assert isinstance(follower, Follower)
    await leader.publish("One. ")
    await leader.retract(reason="personal_data", replacement="Withdrawn.")
    events = [event async for event in follower]
    assert events == [Chunk("One. "), Retracted("personal_data", "Withdrawn.")]


async def test_a_leader_that_was_away_writes_where_nobody_reads() -> None:
    old = await flight.join(question())
    assert isinstance(old, Leader)
    await get_async_redis().delete(flight.lease_key(old._key))
    new = await flight.join(question())
    assert isinstance(new, Leader)
    follower = await flight.join(question())
    assert isinstance(follower, Follower)
    await old.publish("stale")
    await new.publish("fresh")
    await new.land(answer("fresh"))
    events = [event async for event in follower.events()]
    assert events[0] == Chunk("fresh")
    assert isinstance(events[-1], Landed)
    await old.abandon()


async def test_a_long_wait_for_the_first_word_keeps_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flight, "LEASE_MS", 400)
    monkeypatch.setattr(flight, "RENEW_S", 0.1)
    leader = await flight.join(question())
    await asyncio.sleep(1.2)
    assert isinstance(await flight.join(question()), Follower)
    assert isinstance(leader, Leader)
    await leader.abandon()


async def test_without_valkey_everybody_generates_alone(valkey: ValkeyServer) -> None:
    valkey.stop()
    askers = Askers()
    assert set(await asyncio.gather(*(askers.ask() for _ in range(5)))) == {"".join(WORDS)}
    assert askers.num_generated == 5


@pytest.mark.parametrize("fault", ["stop", "stall"])
async def test_valkey_lost_in_flight_costs_generations_but_no_answer(
    valkey: ValkeyServer, fault: str
) -> None:
    leader = await flight.join(question())
    assert isinstance(leader, Leader)
    askers = Askers()
    tasks = [asyncio.create_task(askers.ask()) for _ in range(4)]
    await leader.publish("One. ")
    await asyncio.sleep(0.2)
    getattr(valkey, fault)()
    assert await askers.generate(leader) == "".join(WORDS)
    async with asyncio.timeout(20):
        assert set(await asyncio.gather(*tasks)) == {"".join(WORDS)}


async def test_the_last_follower_to_leave_ends_the_reading() -> None:
    leader = await flight.join(question())
    assert isinstance(leader, Leader)
    num_before = len(asyncio.all_tasks())
    tasks = [asyncio.create_task(Askers().ask()) for _ in range(3)]
    await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.05)
    assert len(asyncio.all_tasks()) == num_before
    await leader.abandon()


async def test_nothing_is_left_when_a_flight_is_over() -> None:
    askers = Askers()
    await asyncio.gather(*(askers.ask() for _ in range(20)))
    await asyncio.sleep(0.05)
    running = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert running == []
    assert await get_async_redis().exists(flight.lease_key(flight.cache_key(question()))) == 0
