"""transformers on the very values of a converted folder: the reference for tests and for the bench."""

from pathlib import Path
from typing import Any

import torch

from inference.engine.checkpoint import Checkpoint
from inference.engine.config import ModelConfig, read_config


def oracle_model(folder: Path, dtype: torch.dtype) -> Any:
    """A transformers model whose weights are the folder's dequantized ones, fused matrices cut apart."""
    import transformers

    checkpoint, config = Checkpoint(folder), ModelConfig.read(folder)
    raw = read_config(folder)
    model_config = transformers.AutoConfig.for_model(**raw)
    with torch.device("meta"):
        model = getattr(transformers, config.architecture)(model_config)
    state = _state(checkpoint, config)
    model.load_state_dict(
        {name: tensor.to(dtype) for name, tensor in state.items()}, strict=False, assign=True
    )
    model.tie_weights()
    model.model.rotary_emb = type(model.model.rotary_emb)(model_config)  # its buffers are not in the folder
    missing = [name for name, parameter in model.named_parameters() if parameter.is_meta]
    assert not missing, f"not in the folder: {missing}"
    return model.eval()


def _state(checkpoint: Checkpoint, config: ModelConfig) -> dict[str, torch.Tensor]:
    state = {
        "model.embed_tokens.weight": checkpoint.get("embedding"),
        "model.norm.weight": checkpoint.get("norm"),
    }
    if "head.weight" in checkpoint:
        state["lm_head.weight"] = checkpoint.get("head.weight")
    kv_rows = config.num_kv_heads * config.head_dim
    parts = {
        "qkv": (["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"], [-1, kv_rows, kv_rows]),
        "output": (["self_attn.o_proj"], [-1]),
        "gate_up": (["mlp.gate_proj", "mlp.up_proj"], [-1, config.intermediate_size]),
        "down": (["mlp.down_proj"], [-1]),
    }
    for index in range(config.num_layers):
        ours, theirs = f"layers.{index}", f"model.layers.{index}"
        state[f"{theirs}.input_layernorm.weight"] = checkpoint.get(f"{ours}.attention_norm")
        state[f"{theirs}.post_attention_layernorm.weight"] = checkpoint.get(f"{ours}.mlp_norm")
        for name, (stems, sizes) in parts.items():
            for kind in ("weight", "bias"):
                if f"{ours}.{name}.{kind}" in checkpoint:
                    fused = checkpoint.get(f"{ours}.{name}.{kind}")
                    rest = len(fused) - sum(size for size in sizes if size > 0)
                    pieces = fused.split([rest if size < 0 else size for size in sizes])
                    state |= {f"{theirs}.{s}.{kind}": p for s, p in zip(stems, pieces, strict=True)}
    return state
