"""Helpers of the engine's tests: tiny models, prompts, and running an engine to its end."""

import random
from collections.abc import Iterable
from pathlib import Path

import torch

from inference.engine import Delta, Engine, Request, Sampling

TINY = {
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "rope_theta": 10_000.0,
}


def make_tiny_model(folder: Path, architecture: str, **changes) -> Path:
    """Two random layers, weights large enough that greedy answers vary with the prompt."""
    import transformers

    kind = architecture.removesuffix("ForCausalLM")
    config = getattr(transformers, f"{kind}Config")(
        **(TINY | {"initializer_range": 0.2, "tie_word_embeddings": kind == "Qwen2"} | changes)
    )
    torch.manual_seed(7)
    model = getattr(transformers, architecture)(config)
    for name, parameter in model.named_parameters():
        if name.endswith(".bias") or "norm" in name:
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)
    return folder


def oracle_tokens(model, prompt: list[int], count: int) -> list[int]:
    """What transformers generates greedily."""
    with torch.inference_mode():
        out = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt)),
            max_new_tokens=count,
            min_new_tokens=count,
            do_sample=False,
            pad_token_id=0,
            eos_token_id=None,
        )
    return out[0, len(prompt) :].tolist()


def prompt_of(length: int, seed: int = 0) -> list[int]:
    return random.Random(seed).choices(range(TINY["vocab_size"]), k=length)


def ask(id: str, prompt: list[int], *, salt: str = "", **sampling) -> Request:
    return Request(id, prompt, Sampling(**({"max_tokens": 12} | sampling)), salt)


def run(engine: Engine, requests: Iterable[Request] = ()) -> dict[str, list[Delta]]:
    """Submit, step to the end, and collect the deltas of each request."""
    for request in requests:
        engine.submit(request)
    deltas: dict[str, list[Delta]] = {}
    while engine.has_work:
        for delta in engine.step():
            deltas.setdefault(delta.request_id, []).append(delta)
    return deltas


def tokens_of(deltas: list[Delta]) -> list[int]:
    return [token for delta in deltas for token in delta.token_ids]


def generate(engine: Engine, prompt: list[int], **sampling) -> list[int]:
    return tokens_of(run(engine, [ask("only", prompt, **sampling)])["only"])
