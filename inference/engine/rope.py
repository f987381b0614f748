"""Rotary position embedding: the angles' frequencies for the variants that Llama and Qwen2 files use."""

import math
from typing import Any

import torch

from inference.engine.config import ModelConfig


def inverse_frequencies(config: ModelConfig, factors: torch.Tensor | None = None) -> torch.Tensor:
    """Radians per position of each pair of dimensions, fp32 [head_dim / 2].

    `factors` are per-frequency divisors that some GGUF files carry; they stand in for config.rope.
    Source: RoFormer, arXiv:2104.09864; "llama3" as in the Llama 3.1 release.
    """
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    plain = 1.0 / (float(config.rope["rope_theta"]) ** exponents)
    if factors is not None:
        return plain / factors.float()
    kind = config.rope["rope_type"]
    if kind == "linear":
        return plain / float(config.rope["factor"])
    return _llama3(plain, config.rope) if kind == "llama3" else plain


def _llama3(plain: torch.Tensor, rope: dict[str, Any]) -> torch.Tensor:
    """Slow low frequencies down by `factor`, keep high ones, blend between the two."""
    factor, low, high = (float(rope[key]) for key in ("factor", "low_freq_factor", "high_freq_factor"))
    turns = float(rope["original_max_position_embeddings"]) * plain / (2 * math.pi)
    blend = ((turns - low) / (high - low)).clamp(0.0, 1.0)
    return plain * (blend + (1.0 - blend) / factor)
