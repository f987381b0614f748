"""Greedy tokens equal transformers' on the same weights, whatever path they take through the engine."""

import json

import pytest
import torch
import transformers
from safetensors.torch import load_file

from inference.engine import EngineConfig
from inference.engine.checkpoint import Checkpoint
from inference.engine.config import ModelConfig
from inference.engine.convert import convert_weights
from inference.engine.engine import Engine
from tests.inference.engine.support import (
    ask,
    generate,
    make_tiny_model,
    oracle_tokens,
    prompt_of,
    run,
    tokens_of,
)


def engine_on(folder, **changes) -> Engine:
    quantization = json.loads((folder / "manifest.json").read_text())["quantization"]
    settings = {"max_context": 256, "kv_tokens": 1024, "block_size": 4, "prefill_chunk": 64}
    return Engine.load(folder, EngineConfig(**(settings | {"quantization": quantization} | changes)))


def oracle_of(folder, **kwargs):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **kwargs).eval()


@pytest.mark.parametrize("length", [1, 5, 40, 130])
def test_tokens_equal_transformers(tiny_source, tmp_path, length):
    engine = engine_on(convert_weights(tiny_source, tmp_path / "f32", quantization="f32"))
    prompt = prompt_of(length, seed=length)
    assert generate(engine, prompt, max_tokens=40) == oracle_tokens(oracle_of(tiny_source), prompt, 40)


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "linear", "factor": 2.0, "rope_theta": 10_000.0},
        {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
            "rope_theta": 10_000.0,
        },
    ],
    ids=lambda rope: rope["rope_type"],
)
def test_scaled_rotary_positions_equal_transformers(tmp_path, rope):
    source = make_tiny_model(tmp_path / "source", "LlamaForCausalLM", rope_parameters=rope)
    engine = engine_on(convert_weights(source, tmp_path / "f32", quantization="f32"))
    prompt = prompt_of(100)
    assert generate(engine, prompt, max_tokens=30) == oracle_tokens(oracle_of(source), prompt, 30)


@pytest.mark.parametrize("quantization", ["int4", "bf16"])
def test_logits_are_those_of_the_dequantized_weights(tiny_source, tmp_path, quantization):
    """Against transformers in fp32 on our own values; bf16 activations explain what is left."""
    folder = convert_weights(tiny_source, tmp_path / quantization, quantization=quantization)
    oracle = oracle_of(tiny_source)
    load_our_weights(oracle, folder)
    engine = engine_on(folder)
    prompt = prompt_of(40)
    mine = first_logits(engine, prompt)
    with torch.inference_mode():
        theirs = oracle(torch.tensor([prompt])).logits[0, -1]
    best = theirs.topk(8).indices
    assert (mine - theirs)[best].abs().max() < 0.05 * theirs.std()


def test_the_packed_kernel_and_its_bf16_copy_hold_the_same_values(qwen_source, tmp_path):
    checkpoint = Checkpoint(convert_weights(qwen_source, tmp_path / "int4", quantization="int4"))
    name = "layers.0.gate_up"
    packed, scales, dense = (checkpoint.get(f"{name}.{kind}") for kind in ("packed", "scales", "weight"))
    identity = torch.eye(dense.shape[1]).bfloat16()
    from inference.engine.linear import int4_product

    assert torch.equal(int4_product(identity, packed, scales, 32).T, dense)


def test_a_batch_gives_what_each_prompt_gives_alone(make_engine):
    prompts = {f"r{n}": prompt_of(n, seed=n) for n in (1, 3, 17, 33, 60, 61, 90)}
    alone = {name: generate(make_engine(), prompt, max_tokens=20) for name, prompt in prompts.items()}
    deltas = run(make_engine(), [ask(name, prompt, max_tokens=20) for name, prompt in prompts.items()])
    assert {name: tokens_of(found) for name, found in deltas.items()} == alone


@pytest.mark.parametrize("chunk", [1, 3, 16, 64])
def test_chunked_prefill_gives_the_same_tokens(make_engine, chunk):
    prompt = prompt_of(100)
    assert generate(make_engine(prefill_chunk=chunk), prompt) == generate(
        make_engine(prefill_chunk=256), prompt
    )


def test_a_prefix_hit_gives_the_same_tokens(make_engine):
    engine, prompt = make_engine(), prompt_of(90)
    generate(engine, prompt)
    again = run(engine, [ask("again", prompt)])["again"]
    assert again[-1].usage.cached_tokens == 88
    assert tokens_of(again) == generate(make_engine(prefix_cache=False), prompt)


def test_a_hit_on_generated_tokens_gives_the_same_tokens(make_engine):
    """The next turn of a conversation: its prompt holds the last answer, whose blocks decoding wrote."""
    engine, prompt = make_engine(), prompt_of(30)
    longer = prompt + generate(engine, prompt, max_tokens=30) + prompt_of(7, seed=9)
    again = run(engine, [ask("again", longer)])["again"]
    assert again[-1].usage.cached_tokens == 56
    assert tokens_of(again) == generate(make_engine(prefix_cache=False), longer)


@pytest.mark.parametrize("is_sharing", [True, False])
def test_preempted_sequences_give_the_same_tokens(make_engine, is_sharing):
    prompts = {f"r{n}": prompt_of(20 + n, seed=n) for n in range(6)}
    alone = {name: generate(make_engine(), prompt, max_tokens=40) for name, prompt in prompts.items()}
    engine = make_engine(kv_tokens=160, prefix_cache=is_sharing)
    deltas = run(engine, [ask(name, prompt, max_tokens=40) for name, prompt in prompts.items()])
    assert engine.stats()["num_preemptions"] > 0
    assert {name: tokens_of(found) for name, found in deltas.items()} == alone


def first_logits(engine: Engine, prompt: list[int]) -> torch.Tensor:
    """The logits that the prompt's last token has."""
    engine.submit(ask("probe", prompt))
    chunk = engine.scheduler.schedule().prefill[0]
    return engine.runner.run([chunk])[0]


def load_our_weights(model, folder) -> None:
    """Set a transformers model to the values that a converted folder holds, fused rows cut apart."""
    config = ModelConfig.read(folder)
    tensors: dict[str, torch.Tensor] = {}
    for file in folder.glob("*.safetensors"):
        tensors |= load_file(file)
    kv_rows = config.num_kv_heads * config.head_dim
    query_rows = config.num_heads * config.head_dim
    state = model.state_dict()
    for index in range(config.num_layers):
        ours, theirs = f"layers.{index}.", f"model.layers.{index}."
        qkv = tensors[f"{ours}qkv.weight"].split([query_rows, kv_rows, kv_rows])
        for stem, rows in zip(("q_proj", "k_proj", "v_proj"), qkv, strict=True):
            state[f"{theirs}self_attn.{stem}.weight"].copy_(rows)
        state[f"{theirs}self_attn.o_proj.weight"].copy_(tensors[f"{ours}output.weight"])
        for stem, rows in zip(
            ("gate_proj", "up_proj"), tensors[f"{ours}gate_up.weight"].chunk(2), strict=True
        ):
            state[f"{theirs}mlp.{stem}.weight"].copy_(rows)
        state[f"{theirs}mlp.down_proj.weight"].copy_(tensors[f"{ours}down.weight"])
    state["model.embed_tokens.weight"].copy_(tensors["embedding"])
    state["lm_head.weight"].copy_(tensors.get("head.weight", tensors["embedding"]))
