"""Writes tiny GGUF files from transformers models, as llama.cpp's converter lays them out."""

from pathlib import Path

import gguf
import numpy as np
import torch
from gguf.constants import GGMLQuantizationType as Kind

from inference.engine.gguf import LAYER_NAMES, OTHER_NAMES


def write_gguf(model, path: Path, kind: Kind = Kind.F32) -> Path:
    """The model's matrices stored as `kind`, its vectors as F32; query and key rows of Llama interleaved."""
    config, arch = model.config, model.config.model_type
    writer = gguf.GGUFWriter(path, arch)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        if arch == "llama" and ("q_proj" in name or "k_proj" in name):
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            tensor = tensor.view(heads, 2, -1, tensor.shape[1]).transpose(1, 2).reshape(tensor.shape)
        stored = Kind.F32 if tensor.dim() == 1 else kind
        writer.add_tensor(_name(name), _quantized(tensor, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _quantized(tensor: torch.Tensor, kind: Kind) -> np.ndarray:
    values = tensor.contiguous().numpy()
    return values if kind == Kind.F32 else gguf.quants.quantize(values, kind)


def _name(name: str) -> str:
    if not name.startswith("model.layers."):
        return OTHER_NAMES[name]
    _, _, index, rest = name.split(".", 3)
    stem, suffix = rest.rsplit(".", 1)
    return f"blk.{index}.{LAYER_NAMES[stem]}.{suffix}"
