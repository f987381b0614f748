"""From a converted folder and a configuration to a runner: which kernel, which memory, which model."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from inference.engine.checkpoint import Checkpoint
from inference.engine.config import EngineConfig, ModelConfig
from inference.engine.convert import FUSED, STORED_AS, TRANSFORMERS_KERNEL
from inference.engine.errors import ModelRefused
from inference.engine.kv_cache import KVCache
from inference.engine.linear import (
    DenseLinear,
    Int8Linear,
    Linear,
    Nf4Linear,
    PackedLinear,
    measure_packed_rows,
)
from inference.engine.model import Decoder, Head, Layer
from inference.engine.rope import inverse_frequencies
from inference.engine.runner import LeanRunner, Runner

KERNELS: dict[str, Callable[..., Linear]] = {
    "bf16": DenseLinear,
    "f32": DenseLinear,
    "nf4": Nf4Linear,
    "int8": Int8Linear,
}
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A runner and the limits that come with it; `config` is what the engine should run under."""

    runner: Runner
    config: EngineConfig
    max_context: int
    vocab_size: int


def load_runner(folder: Path, config: EngineConfig) -> Loaded:
    """Map the folder. Raises ModelRefused if it was converted for another quantization."""
    checkpoint = Checkpoint(folder)
    if checkpoint.manifest.kernel == TRANSFORMERS_KERNEL:
        from inference.engine.fallback import load_fallback

        # The fallback keeps a cache per sequence, so there are no blocks to share.
        runner, max_context, vocab_size = load_fallback(folder, config)
        return Loaded(runner, replace(config, prefix_cache=False), max_context, vocab_size)
    wanted = STORED_AS[config.quantization]
    if checkpoint.manifest.quantization != wanted:
        raise ModelRefused(
            f"{folder} was converted as {checkpoint.manifest.quantization}, but {config.quantization} needs "
            f"{wanted}: convert the source again with quantization={config.quantization!r}."
        )
    return _load_lean(checkpoint, config)


def _load_lean(checkpoint: Checkpoint, config: EngineConfig) -> Loaded:
    model_config = ModelConfig.read(checkpoint.folder)
    max_context = min(config.max_context, model_config.max_positions)
    factors = checkpoint.get("rope_factors") if "rope_factors" in checkpoint else None
    embedding = checkpoint.get("embedding").to(config.device)
    layers = [_layer(checkpoint, index, config) for index in range(model_config.num_layers)]
    model = Decoder(
        model_config,
        embedding=embedding,
        layers=layers,
        norm=checkpoint.get("norm").to(config.device),
        head=_head(checkpoint, embedding, config),
        inverse_frequencies=inverse_frequencies(model_config, factors),
        max_context=max_context,
        dtype=embedding.dtype,
    )
    cache = KVCache(
        model_config,
        num_blocks=config.num_blocks,
        block_size=config.block_size,
        dtype=embedding.dtype,
        device=config.device,
    )
    _choose_kernel(layers)
    return Loaded(LeanRunner(model, cache), config, max_context, model_config.vocab_size)


def _layer(checkpoint: Checkpoint, index: int, config: EngineConfig) -> Layer:
    def norm(name: str) -> torch.Tensor:
        return checkpoint.get(f"layers.{index}.{name}").to(config.device)

    matrices = {name: _linear(checkpoint, f"layers.{index}.{name}", config) for name in FUSED}
    return Layer(attention_norm=norm("attention_norm"), mlp_norm=norm("mlp_norm"), **matrices)


def _linear(checkpoint: Checkpoint, name: str, config: EngineConfig) -> Linear:
    weight = checkpoint.get(f"{name}.weight").to(config.device)
    bias = checkpoint.get(f"{name}.bias").to(config.device) if f"{name}.bias" in checkpoint else None
    if config.quantization == "int4":
        packed, scales = (checkpoint.get(f"{name}.{kind}") for kind in ("packed", "scales"))
        return PackedLinear(packed, scales, weight, bias)
    return KERNELS[config.quantization](weight, bias)


def _head(checkpoint: Checkpoint, embedding: torch.Tensor, config: EngineConfig) -> Head:
    dense = checkpoint.get("head.weight").to(config.device) if "head.weight" in checkpoint else embedding
    if config.quantization != "int4":
        return Head(dense)
    return Head(dense, checkpoint.get("head.packed"), checkpoint.get("head.scales"))


def _choose_kernel(layers: list[Layer]) -> None:
    """Measure once, on the largest matrix, from how many rows on bf16 is faster than int4."""
    if not isinstance(layers[0].gate_up, PackedLinear):
        return
    num_rows = measure_packed_rows(layers[0].gate_up)
    log.info("int4 up to %d rows, bf16 beyond", num_rows)
    for layer in layers:
        for linear in (layer.qkv, layer.output, layer.gate_up, layer.down):
            assert isinstance(linear, PackedLinear)
            linear.max_packed_rows = num_rows
