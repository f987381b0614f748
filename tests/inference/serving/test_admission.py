import asyncio

import pytest

from inference.serving.admission import Admission, Ticket
from inference.serving.pieces import Queued
from inference.serving.wire import Refused


async def places(ticket: Ticket, seen: list[int]) -> None:
    async for queued in ticket.wait():
        seen.append(queued.place)


async def test_a_free_slot_is_taken_without_waiting() -> None:
    ticket = Admission(max_running=1, max_waiting=1).enter()
    assert [queued async for queued in ticket.wait()] == []


async def test_the_place_is_announced_as_those_before_leave() -> None:
    admission = Admission(max_running=1, max_waiting=5)
    running, second, third = (admission.enter() for _ in range(3))
    seen: list[int] = []
    waiter = asyncio.create_task(places(third, seen))
    await asyncio.sleep(0)
    running.release()
    await asyncio.sleep(0.01)
    assert seen == [2, 1]
    second.release()
    await asyncio.wait_for(waiter, 1)
    assert third.is_running


async def test_who_gives_up_gives_its_place_away() -> None:
    admission = Admission(max_running=1, max_waiting=5)
    running, second, third = (admission.enter() for _ in range(3))
    second.release()
    assert admission.position(third).place == 1
    running.release()
    assert third.is_running
    assert admission.num_waiting == 0


async def test_a_full_line_is_refused_with_the_time_to_come_back() -> None:
    admission = Admission(max_running=1, max_waiting=1)
    admission.enter(), admission.enter()
    with pytest.raises(Refused) as caught:
        admission.enter()
    assert (caught.value.status, caught.value.code) == (429, "overloaded")
    assert caught.value.retry_after_s and caught.value.retry_after_s > 0


async def test_the_expected_wait_learns_from_how_long_slots_were_held() -> None:
    admission = Admission(max_running=2, max_waiting=9)
    before = admission.expected_wait_s(4)
    for _ in range(20):
        admission.enter().release()
    assert admission.expected_wait_s(4) < before / 10


async def test_release_twice_frees_one_slot() -> None:
    admission = Admission(max_running=1, max_waiting=5)
    first = admission.enter()
    first.release()
    second = admission.enter()
    first.release()
    assert second.is_running
    assert admission.num_running == 1
    assert isinstance(admission.position(admission.enter()), Queued)
