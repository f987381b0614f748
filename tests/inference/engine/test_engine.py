"""Submitting, finishing, stopping and cancelling, and what is left afterwards: nothing."""

import math

import pytest
import torch

from inference.engine import ConfigRefused, Engine, EngineConfig, Request, RequestRefused, Sampling
from inference.engine.runner import Runner
from inference.engine.scheduler import Chunk
from tests.inference.engine.support import TINY, ask, generate, prompt_of, run, tokens_of


class UniformRunner(Runner):
    """A model that finds every token equally likely: enough to test all that is not arithmetic."""

    def __init__(self, vocab_size: int = 8) -> None:
        self.vocab_size = vocab_size
        self.failing: set[str] = set()
        self.broken: set[str] = set()

    def run(self, chunks: list[Chunk]) -> torch.Tensor:
        if any(chunk.sequence.request.id in self.failing for chunk in chunks):
            raise RuntimeError("the model failed")
        sampled = [chunk.sequence.request.id for chunk in chunks if chunk.is_sampled]
        logits = torch.zeros(len(sampled), self.vocab_size)
        for row, name in enumerate(sampled):
            if name in self.broken:
                logits[row] = math.nan
        return logits

    def forget(self, sequence) -> None:
        pass


@pytest.fixture
def engine() -> Engine:
    config = EngineConfig(kv_tokens=64, block_size=4, max_context=64, prefill_chunk=16, max_streams=4)
    return Engine(UniformRunner(), config, max_context=64, vocab_size=8)


def is_empty(engine: Engine) -> bool:
    pool = engine.pool
    return pool.num_free == pool.num_blocks and not any(pool.num_users) and not engine.has_work


def test_an_answer_ends_at_max_tokens(engine):
    deltas = run(engine, [Request("a", [1, 2, 3], Sampling(max_tokens=5))])["a"]
    assert [delta.finish_reason for delta in deltas] == [None] * 4 + ["length"]
    assert tokens_of(deltas) == [0] * 5
    assert is_empty(engine)


def test_a_stop_id_ends_the_answer_and_is_not_part_of_it(engine):
    deltas = run(engine, [Request("a", [1, 2, 3], Sampling(stop_ids=frozenset({0})))])["a"]
    assert [(delta.token_ids, delta.finish_reason) for delta in deltas] == [([], "stop")]
    assert deltas[0].usage.completion_tokens == 0
    assert is_empty(engine)


def test_an_answer_ends_where_the_context_ends(engine):
    deltas = run(engine, [Request("a", [1] * 60, Sampling(max_tokens=500))])["a"]
    assert len(tokens_of(deltas)) == 4
    assert deltas[-1].finish_reason == "length"


def test_usage_counts_tokens_and_times(make_engine):
    engine, prompt = make_engine(), prompt_of(30)
    generate(engine, prompt)
    usage = run(engine, [ask("b", prompt)])["b"][-1].usage
    assert (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens) == (30, 28, 12)
    assert usage.prefill_ms > 0 and usage.decode_ms > 0


@pytest.mark.parametrize("steps", [0, 1, 3], ids=["waiting", "prefilling", "decoding"])
def test_a_cancelled_request_ends_at_the_next_step(engine, steps):
    engine.submit(Request("a", [1] * 30, Sampling(max_tokens=20)))
    for _ in range(steps):
        engine.step()
    assert engine.cancel("a")
    (delta,) = engine.step()
    assert (delta.finish_reason, delta.token_ids) == ("cancelled", [])
    assert is_empty(engine)


def test_cancelling_disturbs_nobody(make_engine):
    prompts = {name: prompt_of(20, seed=ord(name)) for name in "abc"}
    alone = generate(make_engine(), prompts["c"], max_tokens=30)
    engine = make_engine()
    for name, prompt in prompts.items():
        engine.submit(ask(name, prompt, max_tokens=30))
    found: list[int] = []
    for count in range(100):
        if count == 5:
            engine.cancel("a")
        found += [token for delta in engine.step() if delta.request_id == "c" for token in delta.token_ids]
    assert found == alone
    assert is_empty(engine)


def test_a_preempted_request_can_be_cancelled(engine):
    for name in "abcd":
        engine.submit(Request(name, [1] * 12, Sampling(max_tokens=40)))
    while not engine.stats()["num_preemptions"]:
        engine.step()
    preempted = engine.scheduler.waiting[0].request.id
    engine.cancel(preempted)
    assert [d.finish_reason for d in engine.step() if d.request_id == preempted] == ["cancelled"]
    run(engine)
    assert is_empty(engine)


def test_cancelling_a_stranger_is_no_error(engine):
    assert engine.cancel("nobody") is False
    assert engine.step() == []


def test_all_blocks_are_free_after_preemption(engine):
    deltas = run(engine, [Request(name, [1] * 12, Sampling(max_tokens=40)) for name in "abcd"])
    assert engine.stats()["num_preemptions"] > 0
    assert {name: len(tokens_of(found)) for name, found in deltas.items()} == dict.fromkeys("abcd", 40)
    assert is_empty(engine)


def test_a_broken_row_ends_its_own_request_only(engine):
    engine.runner.broken = {"a"}
    deltas = run(engine, [Request(name, [1], Sampling(max_tokens=3)) for name in "ab"])
    assert [delta.finish_reason for delta in deltas["a"]] == ["error"]
    assert deltas["b"][-1].finish_reason == "length"
    assert is_empty(engine)


def test_a_failed_step_can_be_ended_for_all(engine):
    for name in "ab":
        engine.submit(Request(name, [1] * 5, Sampling(max_tokens=9)))
    engine.step()
    engine.runner.failing = {"a"}
    with pytest.raises(RuntimeError):
        engine.step()
    assert {(d.request_id, d.finish_reason) for d in engine.abort_all()} == {("a", "error"), ("b", "error")}
    assert is_empty(engine)
    engine.runner.failing = set()
    assert len(tokens_of(run(engine, [Request("c", [1], Sampling(max_tokens=2))])["c"])) == 2


def test_a_failed_step_leaves_nothing_wrong_to_be_reused(make_engine, monkeypatch):
    """Blocks whose keys were never written must not become prefix hits."""
    engine, prompt = make_engine(), prompt_of(40)
    expected = generate(make_engine(), prompt)
    monkeypatch.setattr(engine.runner.model, "forward", lambda *args: 1 / 0)
    engine.submit(ask("a", prompt))
    with pytest.raises(ZeroDivisionError):
        engine.step()
    engine.abort_all()
    monkeypatch.undo()
    assert generate(engine, prompt) == expected


def test_another_tenant_does_not_hit_the_prefix(make_engine):
    engine, prompt = make_engine(), prompt_of(40)
    run(engine, [ask("a", prompt, salt="one")])
    assert run(engine, [ask("b", prompt, salt="two")])["b"][-1].usage.cached_tokens == 0
    assert run(engine, [ask("c", prompt, salt="one")])["c"][-1].usage.cached_tokens == 36


@pytest.mark.parametrize(
    ("prompt", "code"),
    [([1] * 64, "context_length_exceeded"), ([8], "invalid_request"), ([-1], "invalid_request")],
    ids=["too long", "unknown token", "negative token"],
)
def test_a_prompt_that_cannot_be_served_is_refused(engine, prompt, code):
    with pytest.raises(RequestRefused) as refusal:
        engine.submit(Request("a", prompt))
    assert refusal.value.code == code
    assert is_empty(engine)


def test_an_id_in_use_is_refused(engine):
    engine.submit(Request("a", [1]))
    with pytest.raises(RequestRefused, match="in use"):
        engine.submit(Request("a", [1]))


def test_an_empty_prompt_is_refused():
    with pytest.raises(RequestRefused, match="no tokens"):
        Request("a", [])


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": math.nan},
        {"temperature": -0.1},
        {"temperature": math.inf},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"max_tokens": 0},
        {"repetition_penalty": 0.0},
    ],
    ids=str,
)
def test_sampling_out_of_range_is_refused(changes):
    with pytest.raises(RequestRefused) as refusal:
        Sampling(**changes)
    assert next(iter(changes)) in refusal.value.message


@pytest.mark.parametrize(
    "changes",
    [
        {"max_streams": 0},
        {"prefill_chunk": 0},
        {"kv_tokens": 8, "block_size": 16},
        {"num_threads": -1},
        {"quantization": "int3"},
        {"quantization": "int4", "device": "cuda"},
    ],
    ids=str,
)
def test_a_configuration_out_of_range_is_refused(changes):
    with pytest.raises(ConfigRefused):
        EngineConfig(**changes)


def test_statistics_count_what_happened(make_engine):
    engine, prompt = make_engine(), prompt_of(30)
    generate(engine, prompt)
    generate(engine, prompt)
    stats = engine.stats()
    assert (stats["prompt_tokens"], stats["cached_tokens"], stats["completion_tokens"]) == (60, 28, 24)
    assert stats["num_free_blocks"] == stats["num_blocks"] == 256
    assert TINY["vocab_size"] == engine.vocab_size
