"""The two configurations: of the engine (chosen by the operator) and of the model (read from config.json).

Both refuse what they do not understand when they are made, not in the middle of a step.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from inference.engine.errors import ConfigRefused, ModelRefused

Quantization = Literal["int4", "bf16", "f32", "nf4", "int8"]
LEAN_ARCHITECTURES = ("LlamaForCausalLM", "Qwen2ForCausalLM")
KNOWN_ROPE_TYPES = ("default", "linear", "llama3")


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Limits of one engine. Memory of the KV cache is `kv_tokens` times the model's bytes per token.

    `prefill_chunk` bounds the prompt tokens of one step and with them how long a running answer
    waits for a newcomer. `num_threads` 0 keeps torch's own choice. Raises ConfigRefused.
    """

    max_streams: int = 16
    max_context: int = 8192
    kv_tokens: int = 32_768
    prefill_chunk: int = 256
    num_threads: int = 0
    device: str = "cpu"
    quantization: Quantization = "int4"
    prefix_cache: bool = True
    block_size: int = 32

    def __post_init__(self) -> None:
        for name, low in (("max_streams", 1), ("max_context", 2), ("prefill_chunk", 1), ("block_size", 1)):
            if getattr(self, name) < low:
                raise ConfigRefused(f"{name} is {getattr(self, name)}; it must be at least {low}.")
        if self.num_threads < 0:
            raise ConfigRefused(f"num_threads is {self.num_threads}; use 0 for torch's own choice.")
        if self.kv_tokens < self.block_size:
            raise ConfigRefused(
                f"kv_tokens is {self.kv_tokens}, less than one block of {self.block_size}: raise kv_tokens."
            )
        if self.quantization not in get_args(Quantization):
            raise ConfigRefused(
                f"quantization is {self.quantization!r}; choose one of {', '.join(get_args(Quantization))}."
            )
        if self.quantization == "int4" and self.device != "cpu":
            raise ConfigRefused("int4 is packed for the CPU; on CUDA choose nf4, int8 or bf16.")

    @property
    def num_blocks(self) -> int:
        return self.kv_tokens // self.block_size


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Shapes and constants of a Llama/Qwen2-family decoder, as in Hugging Face's config.json."""

    architecture: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    norm_eps: float
    max_positions: int
    rope: dict[str, Any]
    is_tied: bool

    @property
    def num_fused_heads(self) -> int:
        """Heads in the fused projection: query, key and value."""
        return self.num_heads + 2 * self.num_kv_heads

    def kv_bytes_per_token(self, element_bytes: int = 2) -> int:
        return 2 * self.num_layers * self.num_kv_heads * self.head_dim * element_bytes

    @classmethod
    def read(cls, folder: Path) -> "ModelConfig":
        return cls.parse(read_config(folder))

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> "ModelConfig":
        """Build from a config.json. Raises ModelRefused if a shape is missing or contradictory."""
        try:
            hidden, heads = int(raw["hidden_size"]), int(raw["num_attention_heads"])
            config = cls(
                architecture=(raw.get("architectures") or ["unknown"])[0],
                vocab_size=int(raw["vocab_size"]),
                hidden_size=hidden,
                intermediate_size=int(raw["intermediate_size"]),
                num_layers=int(raw["num_hidden_layers"]),
                num_heads=heads,
                num_kv_heads=int(raw.get("num_key_value_heads") or heads),
                head_dim=int(raw.get("head_dim") or hidden // heads),
                norm_eps=float(raw.get("rms_norm_eps", 1e-6)),
                max_positions=int(raw.get("max_position_embeddings", 2048)),
                rope=_rope(raw),
                is_tied=bool(raw.get("tie_word_embeddings", False)),
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise ModelRefused(f"config.json is not usable: {error!r}. Convert the model again.") from error
        if config.num_heads % config.num_kv_heads:
            raise ModelRefused(
                f"{config.num_heads} heads cannot share {config.num_kv_heads} key-value heads evenly."
            )
        return config


def read_config(folder: Path) -> dict[str, Any]:
    """The raw config.json of a model folder. Raises ModelRefused."""
    path = folder / "config.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelRefused(f"{path} cannot be read ({error}); is this a model folder?") from error
    if not isinstance(raw, dict):
        raise ModelRefused(f"{path} holds no JSON object; is this a model folder?")
    return raw


def is_lean(raw: dict[str, Any]) -> bool:
    """Whether our own decoder computes exactly this model; otherwise transformers has to."""
    return (
        (raw.get("architectures") or [""])[0] in LEAN_ARCHITECTURES
        and raw.get("hidden_act", "silu") == "silu"
        and _rope(raw)["rope_type"] in KNOWN_ROPE_TYPES
        and not raw.get("mlp_bias")
        and not raw.get("use_sliding_window")
        and int(raw.get("pretraining_tp") or 1) == 1
        and "quantization_config" not in raw
    )


def _rope(raw: dict[str, Any]) -> dict[str, Any]:
    """Rotary parameters in one form, from the spellings of transformers 4 and 5."""
    scaling = dict(raw.get("rope_parameters") or raw.get("rope_scaling") or {})
    scaling["rope_type"] = scaling.get("rope_type") or scaling.pop("type", None) or "default"
    scaling.setdefault("rope_theta", float(raw.get("rope_theta", 10_000.0)))
    return scaling
