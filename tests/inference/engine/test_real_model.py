"""The default model itself: int4, through every path, against transformers on the same values.

Decoding multiplies int4 by bf16 rows, prefill bf16 by bf16, the oracle computes in fp32. So "equal" means:
where tokens differ, the oracle finds both equally likely up to TIE.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from inference.engine import Engine, EngineConfig
from inference.engine.oracle import oracle_model
from tests.inference.engine.support import ask, run, tokens_of

pytestmark = pytest.mark.model

TIE = 0.25  # logits, whose spread over the vocabulary is about 3
QUESTIONS = (
    "What is the capital of France, and which river runs through it?",
    "Write a Python function that reverses a list in place.",
    "用一句话介绍北京。",
)


@pytest.fixture(scope="module")
def oracle(default_model: Path) -> Any:
    return oracle_model(default_model, torch.float32)


@pytest.fixture(scope="module")
def prompts(default_model: Path) -> dict[str, list[int]]:
    tokenizer = Tokenizer.from_file(str(default_model / "tokenizer.json"))
    system = "<|im_start|>system\nYou are a helpful assistant of few words.<|im_end|>\n" * 2
    turn = "{}<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
    return {
        f"q{n}": tokenizer.encode(turn.format(system, question)).ids for n, question in enumerate(QUESTIONS)
    }


def make_engine(folder: Path, **changes: Any) -> Engine:
    return Engine.load(folder, EngineConfig(**({"kv_tokens": 4096} | changes)))


def answers(engine: Engine, prompts: dict[str, list[int]], *, is_together: bool) -> dict[str, list[int]]:
    requests = [ask(name, prompt, max_tokens=16) for name, prompt in prompts.items()]
    batches = [requests] if is_together else [[request] for request in requests]
    found: dict[str, list[int]] = {}
    for batch in batches:
        found |= {name: tokens_of(deltas) for name, deltas in run(engine, batch).items()}
    return found


def assert_greedy(oracle: Any, prompts: dict[str, list[int]], found: dict[str, list[int]]) -> None:
    """Every token is the oracle's best one after the same tokens, or as good up to TIE."""
    num_best = num_tokens = 0
    for name, tokens in found.items():
        with torch.inference_mode():
            logits = oracle(torch.tensor([prompts[name] + tokens])).logits[0, len(prompts[name]) - 1 : -1]
        gaps = logits.max(-1).values - logits.gather(1, torch.tensor(tokens)[:, None])[:, 0]
        assert gaps.max() <= TIE, f"{name}: {gaps}"
        num_best, num_tokens = num_best + int((gaps == 0).sum()), num_tokens + len(tokens)
    assert num_best >= 0.9 * num_tokens


@pytest.mark.parametrize(
    ("is_together", "changes"),
    [
        (False, {}),
        (True, {}),
        (True, {"prefill_chunk": 17}),
        (True, {"kv_tokens": 160, "block_size": 4, "prefix_cache": False}),
    ],
    ids=["alone", "batched", "chunked", "preempted"],
)
def test_every_path_is_greedy_up_to_ties(default_model, oracle, prompts, is_together, changes):
    engine = make_engine(default_model, **changes)
    assert_greedy(oracle, prompts, answers(engine, prompts, is_together=is_together))
    assert engine.pool.num_free == engine.pool.num_blocks
    assert (engine.stats()["num_preemptions"] > 0) == ("block_size" in changes)


def test_prefix_hits_are_greedy_up_to_ties(default_model, oracle, prompts):
    engine = make_engine(default_model)
    answers(engine, prompts, is_together=False)
    hit = answers(engine, prompts, is_together=False)
    assert engine.stats()["cached_tokens"] >= 3 * 32
    assert_greedy(oracle, prompts, hit)


def test_it_answers(default_model, prompts):
    found = answers(make_engine(default_model), {"q0": prompts["q0"]}, is_together=False)
    assert "Paris" in Tokenizer.from_file(str(default_model / "tokenizer.json")).decode(found["q0"])
