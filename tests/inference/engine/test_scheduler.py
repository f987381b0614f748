"""Who is computed when: decode first, prompts in chunks, admission by memory, preemption."""

import pytest

from inference.engine.kv_cache import BlockPool
from inference.engine.scheduler import Batch, Scheduler
from inference.engine.sequence import Sequence
from tests.inference.engine.support import ask, prompt_of

BLOCK = 4


@pytest.fixture
def make_scheduler():
    def make(*, num_blocks=100, max_streams=4, prefill_chunk=16, **kwargs) -> Scheduler:
        pool = BlockPool(num_blocks, BLOCK, **kwargs)
        return Scheduler(pool, max_streams=max_streams, prefill_chunk=prefill_chunk)

    return make


def add(scheduler: Scheduler, name: str, length: int, seed: int | None = None) -> Sequence:
    sequence = Sequence.begin(ask(name, prompt_of(length, seed=hash(name) if seed is None else seed)), 1000)
    scheduler.add(sequence)
    return sequence


def step(scheduler: Scheduler) -> tuple[list[str], list[tuple[str, int, int]]]:
    """Schedule, pretend to compute, append token 1 where one is sampled; names and ranges of the batch."""
    batch: Batch = scheduler.schedule()
    for chunk in batch.decode + batch.prefill:
        is_sampled = chunk.is_sampled
        scheduler.mark_computed(chunk)
        if is_sampled:
            chunk.sequence.append(1)
    prefill = [(chunk.sequence.request.id, chunk.start, chunk.end) for chunk in batch.prefill]
    return [chunk.sequence.request.id for chunk in batch.decode], prefill


def test_a_long_prompt_is_cut_into_chunks(make_scheduler):
    scheduler = make_scheduler(prefill_chunk=16)
    add(scheduler, "a", 40)
    assert [step(scheduler)[1] for _ in range(3)] == [[("a", 0, 16)], [("a", 16, 32)], [("a", 32, 40)]]
    assert step(scheduler) == (["a"], [])


def test_decoding_goes_first_and_prompts_fill_up(make_scheduler):
    scheduler = make_scheduler(prefill_chunk=16)
    add(scheduler, "a", 4)
    step(scheduler)
    add(scheduler, "b", 40)
    assert step(scheduler) == (["a"], [("b", 0, 15)])
    assert step(scheduler) == (["a"], [("b", 15, 30)])


def test_several_short_prompts_share_a_step(make_scheduler):
    scheduler = make_scheduler(prefill_chunk=16)
    for name in "abc":
        add(scheduler, name, 6)
    assert step(scheduler)[1] == [("a", 0, 6), ("b", 0, 6), ("c", 0, 4)]
    assert step(scheduler) == (["a", "b"], [("c", 4, 6)])


def test_a_prompt_makes_progress_beside_a_full_batch(make_scheduler):
    scheduler = make_scheduler(prefill_chunk=1, max_streams=3)
    add(scheduler, "a", 1)
    add(scheduler, "b", 1)
    step(scheduler)
    step(scheduler)
    add(scheduler, "c", 3)
    assert step(scheduler) == (["a", "b"], [("c", 0, 1)])


def test_no_more_than_max_streams_run(make_scheduler):
    scheduler = make_scheduler(max_streams=2)
    for name in "abc":
        add(scheduler, name, 2)
    step(scheduler)
    assert ([s.request.id for s in scheduler.running], len(scheduler.waiting)) == (["a", "b"], 1)


def test_a_prompt_waits_until_its_blocks_are_free(make_scheduler):
    scheduler = make_scheduler(num_blocks=6)
    first = add(scheduler, "a", 15)
    add(scheduler, "b", 12)
    step(scheduler)
    assert [s.request.id for s in scheduler.running] == ["a"]
    assert (first.blocks, scheduler.pool.num_free) == ([0, 1, 2, 3], 2)
    scheduler.remove(first)
    assert step(scheduler)[1] == [("b", 0, 12)]


def test_a_shared_prefix_is_not_computed_twice(make_scheduler):
    scheduler = make_scheduler()
    first = add(scheduler, "a", 11, seed=1)
    step(scheduler)
    second = add(scheduler, "b", 11, seed=1)
    assert step(scheduler) == (["a"], [("b", 8, 11)])
    assert (first.blocks, second.blocks) == ([0, 1, 2], [0, 1, 3])
    assert scheduler.pool.num_users[:4] == [2, 2, 1, 1]
    assert second.num_cached == 8


def test_the_latest_sequence_is_preempted_when_blocks_run_out(make_scheduler):
    scheduler = make_scheduler(num_blocks=6, is_sharing=False)
    first, second = add(scheduler, "a", 8), add(scheduler, "b", 8)
    for _ in range(5):
        step(scheduler)
    assert (first.blocks, second.blocks) == ([0, 1, 4], [2, 3, 5])
    decoded, _ = step(scheduler)
    assert decoded == ["a"]
    assert (second.blocks, second.num_computed, second.num_preempted) == ([], 0, 1)
    assert first.blocks == [0, 1, 4, 2]
    assert [s.request.id for s in scheduler.waiting] == ["b"]


def test_a_preempted_sequence_finds_its_own_blocks_again(make_scheduler):
    scheduler = make_scheduler(num_blocks=6)
    first, second = add(scheduler, "a", 8), add(scheduler, "b", 8)
    for _ in range(6):
        step(scheduler)
    assert [s.request.id for s in scheduler.waiting] == ["b"]
    scheduler.remove(first)
    assert step(scheduler) == ([], [("b", 8, 13)])
    assert second.blocks[:2] == [2, 3]


def test_the_older_sequence_never_pays_for_the_younger(make_scheduler):
    scheduler = make_scheduler(num_blocks=8, is_sharing=False)
    first = add(scheduler, "a", 8)
    for name in "bc":
        add(scheduler, name, 4)
    for _ in range(18):
        step(scheduler)
    assert first.num_preempted == 0
    assert scheduler.num_preemptions > 0


def test_removing_frees_every_block_wherever_the_sequence_is(make_scheduler):
    scheduler = make_scheduler(num_blocks=6, prefill_chunk=4)
    sequences = [add(scheduler, name, 8) for name in "abc"]
    step(scheduler)
    for sequence in sequences:
        scheduler.remove(sequence)
    assert scheduler.pool.num_free == 6
    assert scheduler.pool.num_users == [0] * 6
    assert not scheduler.running and not scheduler.waiting
