"""A whole model small enough to be made on the spot: random weights, a tokenizer of single bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from inference.serving.folders import ModelFolder
from inference.serving.prepare import prepare_model
from tests.support.scripted_engine import ScriptedEngine

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
HIDDEN, INNER, HEADS, LAYERS, VOCAB = 64, 128, 2, 2, 320


def write_tokenizer(folder: Path) -> None:
    """One token for each byte, so that every character beyond ASCII is split over several tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in SPECIALS])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"eos_token": "<|im_end|>", "chat_template": CHATML}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def write_weights(folder: Path) -> None:
    torch.manual_seed(0)

    def matrix(rows: int, columns: int) -> torch.Tensor:
        return torch.randn(rows, columns) * 0.2

    weights = {"model.embed_tokens.weight": matrix(VOCAB, HIDDEN), "model.norm.weight": torch.ones(HIDDEN)}
    for i in range(LAYERS):
        layer = f"model.layers.{i}"
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            weights[f"{layer}.self_attn.{name}.weight"] = matrix(HIDDEN, HIDDEN)
        weights[f"{layer}.mlp.gate_proj.weight"] = matrix(INNER, HIDDEN)
        weights[f"{layer}.mlp.up_proj.weight"] = matrix(INNER, HIDDEN)
        weights[f"{layer}.mlp.down_proj.weight"] = matrix(HIDDEN, INNER)
        for name in ("input_layernorm", "post_attention_layernorm"):
            weights[f"{layer}.{name}.weight"] = torch.ones(HIDDEN)
    save_file(weights, str(folder / "model.safetensors"))
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "vocab_size": VOCAB,
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(config))


def write_source(folder: Path) -> Path:
    """A folder as save_pretrained would write it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder)
    write_weights(folder)
    return folder


def write_embedder(folder: Path) -> Path:
    """A prepared embedder: random BERT over whole words."""
    folder.mkdir(parents=True)
    torch.manual_seed(1)
    weights = {
        "embeddings.word_embeddings.weight": torch.randn(64, HIDDEN),
        "embeddings.position_embeddings.weight": torch.randn(64, HIDDEN) * 0.1,
        "embeddings.token_type_embeddings.weight": torch.zeros(2, HIDDEN),
    }
    layer = "encoder.layer.0"
    shapes = {f"{layer}.attention.self.{name}": (HIDDEN, HIDDEN) for name in ("query", "key", "value")}
    shapes |= {f"{layer}.attention.output.dense": (HIDDEN, HIDDEN)}
    shapes |= {f"{layer}.intermediate.dense": (INNER, HIDDEN), f"{layer}.output.dense": (HIDDEN, INNER)}
    for name, shape in shapes.items():
        weights |= {f"{name}.weight": torch.randn(shape) * 0.1, f"{name}.bias": torch.zeros(shape[0])}
    for name in ("embeddings.LayerNorm", f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"):
        weights |= {f"{name}.weight": torch.ones(HIDDEN), f"{name}.bias": torch.zeros(HIDDEN)}
    save_file(weights, str(folder / "model.safetensors"))
    config = {"num_attention_heads": HEADS, "num_hidden_layers": 1, "layer_norm_eps": 1e-12}
    (folder / "config.json").write_text(json.dumps(config))
    words = Tokenizer(
        models.WordLevel({"[UNK]": 0, "bread": 1, "password": 2, "reset": 3}, unk_token="[UNK]")
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(folder / "tokenizer.json"))
    ModelFolder(folder, "tiny-embedder", "embeddings", "f32", 64, "none").write()
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A prepared chat model of random weights with an embedder beside it."""
    folder = tmp_path_factory.mktemp("models")
    write_embedder(folder / "all-minilm-l6-v2")
    source = write_source(tmp_path_factory.mktemp("source") / "tiny")
    return prepare_model(str(source), folder, quantization="bf16")


@pytest.fixture
def scripted() -> Iterator[ScriptedEngine]:
    with ScriptedEngine() as engine:
        yield engine
