"""Architectures that our decoder does not compute, behind the same interface."""

import pytest
import torch
import transformers

from inference.engine import Engine, EngineConfig, ModelRefused
from inference.engine.convert import convert_weights
from inference.engine.fallback import TransformersRunner
from tests.inference.engine.support import TINY, ask, generate, oracle_tokens, prompt_of, run, tokens_of


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpt2")
    torch.manual_seed(3)
    config = transformers.GPT2Config(
        vocab_size=TINY["vocab_size"], n_positions=256, n_embd=64, n_layer=2, n_head=4, initializer_range=0.2
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def make_fallback(source, tmp_path):
    def make(**changes) -> Engine:
        folder = convert_weights(source, tmp_path / "gpt2", quantization="f32")
        settings = {"quantization": "f32", "max_context": 256, "kv_tokens": 1024, "block_size": 4}
        return Engine.load(folder, EngineConfig(**(settings | changes)))

    return make


def test_tokens_equal_transformers(make_fallback, source):
    model = transformers.AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).eval()
    engine, prompt = make_fallback(prefill_chunk=16), prompt_of(50)
    assert isinstance(engine.runner, TransformersRunner)
    assert generate(engine, prompt) == oracle_tokens(model, prompt, 12)


def test_batched_and_preempted_give_the_same_tokens(make_fallback):
    prompts = {f"r{n}": prompt_of(20 + n, seed=n) for n in range(5)}
    alone = {name: generate(make_fallback(), prompt, max_tokens=30) for name, prompt in prompts.items()}
    engine = make_fallback(kv_tokens=160)
    deltas = run(engine, [ask(name, prompt, max_tokens=30) for name, prompt in prompts.items()])
    assert engine.stats()["num_preemptions"] > 0
    assert {name: tokens_of(found) for name, found in deltas.items()} == alone
    assert engine.runner.num_caches == 0


def test_cuda_quantizations_are_refused(source, tmp_path):
    folder = convert_weights(source, tmp_path / "gpt2", quantization="bf16")
    with pytest.raises(ModelRefused, match="choose bf16"):
        Engine.load(folder, EngineConfig(quantization="nf4"))
