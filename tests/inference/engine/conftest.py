"""Tiny random models, converted as real ones are, and a transformers model as the oracle."""

import json
import os
from pathlib import Path

import pytest
import torch

from inference.engine import Engine, EngineConfig
from inference.engine.convert import convert_weights
from tests.inference.engine.support import TINY, make_tiny_model


@pytest.fixture(scope="session", autouse=True)
def two_threads() -> None:
    torch.set_num_threads(min(2, os.cpu_count() or 1))


@pytest.fixture(scope="session", params=["Qwen2ForCausalLM", "LlamaForCausalLM"])
def tiny_source(request, tmp_path_factory) -> Path:
    """A folder of safetensors as transformers writes it."""
    return make_tiny_model(tmp_path_factory.mktemp("source"), request.param)


@pytest.fixture(scope="session")
def qwen_source(tmp_path_factory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("qwen"), "Qwen2ForCausalLM")


@pytest.fixture(scope="session")
def qwen_f32(qwen_source, tmp_path_factory) -> Path:
    """The tiny Qwen2 in f32, where ties do not happen: the model for exact equalities."""
    return convert_weights(qwen_source, tmp_path_factory.mktemp("converted") / "f32", quantization="f32")


@pytest.fixture
def make_engine(qwen_f32):
    """An engine on the tiny model with small blocks; keyword arguments change its configuration."""

    def make(folder: Path = qwen_f32, **changes) -> Engine:
        settings = {
            "quantization": json.loads((folder / "manifest.json").read_text())["quantization"],
            "max_context": TINY["max_position_embeddings"],
            "kv_tokens": 1024,
            "block_size": 4,
            "prefill_chunk": 64,
        }
        return Engine.load(folder, EngineConfig(**(settings | changes)))

    return make
