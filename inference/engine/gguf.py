"""Reads a GGUF file: its configuration in Hugging Face's form, its tensors by Hugging Face's names.

Blocks that are affine over 32 weights (Q4_0, Q4_1, Q4_K) can be had as codes, which the int4 kernel uses
without another loss; all types can be had dequantized, by the `gguf` package.
Source of the block layouts: ggml's ggml-common.h.
"""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf.constants import GGMLQuantizationType as Kind

from inference.engine.errors import ModelRefused
from inference.engine.quantize import Affine

ARCHITECTURES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}
LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
OTHER_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
    "rope_factors": "rope_freqs.weight",
}


class GgufSource:
    """One GGUF file. Raises ModelRefused if it is not readable or of an unknown architecture."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            reader = gguf.GGUFReader(path)
        except (OSError, ValueError, IndexError, KeyError) as error:
            raise ModelRefused(f"{path} is no readable GGUF file ({error}); fetch it again.") from error
        self._fields = {name: field.contents() for name, field in reader.fields.items()}
        self._tensors = {tensor.name: tensor for tensor in reader.tensors}
        self.kind = str(self._fields.get("general.architecture"))
        if self.kind not in ARCHITECTURES:
            raise ModelRefused(
                f"{path} holds a {self.kind!r} model; GGUF is read for {', '.join(ARCHITECTURES)}. "
                "Use the model's safetensors folder instead."
            )
        self.config = self._config()

    def __contains__(self, name: str) -> bool:
        return self._gguf_name(name) in self._tensors

    def dense(self, name: str) -> torch.Tensor:
        """One tensor, fp32, dequantized."""
        tensor = self._tensor(name)
        try:
            values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        except NotImplementedError as error:
            raise ModelRefused(
                f"{name} is stored as {tensor.tensor_type.name}, which cannot be read here; "
                "fetch the file in Q4_K_M or Q8_0."
            ) from error
        dense = torch.from_numpy(np.array(values, dtype=np.float32, copy=True))
        return self._order_rows(name, dense)

    def affine(self, name: str) -> Affine | None:
        """The tensor's own int4 codes, or None if it is not stored as affine blocks of 32."""
        tensor = self._tensor(name)
        if tensor.tensor_type not in DECODERS:
            return None
        rows = int(tensor.shape[1])
        codes, scale, minimum = DECODERS[tensor.tensor_type](tensor.data.reshape(rows, -1))
        return Affine(
            self._order_rows(name, torch.from_numpy(codes.reshape(rows, -1))),
            self._order_rows(name, torch.from_numpy(scale.reshape(rows, -1)).bfloat16()),
            self._order_rows(name, torch.from_numpy((minimum + 8 * scale).reshape(rows, -1)).bfloat16()),
        )

    def _tensor(self, name: str) -> Any:
        try:
            return self._tensors[self._gguf_name(name)]
        except KeyError as error:
            raise ModelRefused(f"{self.path} lacks the tensor {name}; the file is incomplete.") from error

    @staticmethod
    def _gguf_name(name: str) -> str:
        if not name.startswith("model.layers."):
            return OTHER_NAMES.get(name, name)
        _, _, index, rest = name.split(".", 3)
        stem, kind = rest.rsplit(".", 1)
        return f"blk.{index}.{LAYER_NAMES[stem]}.{kind}"

    def _order_rows(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """Undo llama.cpp's interleaving of query and key rows (Llama only), so that halves rotate."""
        heads = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}
        stem = name.rsplit(".", 2)[-2] if "." in name else name
        if self.kind != "llama" or stem not in heads:
            return tensor
        count = self.config[heads[stem]]
        paired = tensor.view(count, tensor.shape[0] // count // 2, 2, *tensor.shape[1:])
        return paired.transpose(1, 2).reshape(tensor.shape)

    def _config(self) -> dict[str, Any]:
        heads = int(self._field("attention.head_count"))
        hidden = int(self._field("embedding_length"))
        embedding = self._tensors.get("token_embd.weight")
        if embedding is None:
            raise ModelRefused(f"{self.path} has no embedding; the file is incomplete.")
        return {
            "architectures": [ARCHITECTURES[self.kind]],
            "model_type": self.kind,
            "hidden_act": "silu",
            "hidden_size": hidden,
            "intermediate_size": int(self._field("feed_forward_length")),
            "num_hidden_layers": int(self._field("block_count")),
            "num_attention_heads": heads,
            "num_key_value_heads": int(self._field("attention.head_count_kv", heads)),
            "head_dim": int(self._field("attention.key_length", hidden // heads)),
            "max_position_embeddings": int(self._field("context_length")),
            "rms_norm_eps": float(self._field("attention.layer_norm_rms_epsilon")),
            "rope_parameters": self._rope(),
            "rope_theta": float(self._field("rope.freq_base", 10_000.0)),
            "tie_word_embeddings": "output.weight" not in self._tensors,
            "vocab_size": int(embedding.shape[1]),
            "bos_token_id": self._fields.get("tokenizer.ggml.bos_token_id"),
            "eos_token_id": self._fields.get("tokenizer.ggml.eos_token_id"),
        }

    def _rope(self) -> dict[str, Any]:
        theta = float(self._field("rope.freq_base", 10_000.0))
        kind = self._field("rope.scaling.type", "none")
        if kind == "linear":
            factor = float(self._field("rope.scaling.factor"))
            return {"rope_type": "linear", "rope_theta": theta, "factor": factor}
        return {"rope_type": "default" if kind == "none" else kind, "rope_theta": theta}

    def _field(self, name: str, default: Any = None) -> Any:
        value = self._fields.get(f"{self.kind}.{name}", default)
        if value is None:
            raise ModelRefused(f"{self.path} lacks the field {self.kind}.{name}; the file is incomplete.")
        return value


Blocks = tuple[np.ndarray, np.ndarray, np.ndarray]


def _nibbles(packed: np.ndarray) -> np.ndarray:
    """uint8 [..., 16] -> codes [..., 32]: low halves first."""
    return np.concatenate((packed & 0x0F, packed >> 4), axis=-1)


def _floats(raw: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(raw).view(np.float16).astype(np.float32)


def _q4_0(rows: np.ndarray) -> Blocks:
    blocks = rows.reshape(-1, 18)
    scale = _floats(blocks[:, :2])
    return _nibbles(blocks[:, 2:]), scale, -8 * scale


def _q4_1(rows: np.ndarray) -> Blocks:
    blocks = rows.reshape(-1, 20)
    return _nibbles(blocks[:, 4:]), _floats(blocks[:, :2]), _floats(blocks[:, 2:4])


def _q4_k(rows: np.ndarray) -> Blocks:
    """256 weights: two fp16 factors, twelve bytes of 6-bit scales and minima, 128 bytes of codes."""
    blocks = rows.reshape(-1, 144)
    factor, factor_min = _floats(blocks[:, :2]), _floats(blocks[:, 2:4])
    low, mid, high = blocks[:, 4:8], blocks[:, 8:12], blocks[:, 12:16]
    scale = np.concatenate((low & 63, (high & 15) | ((low >> 2) & 48)), axis=1)
    minimum = np.concatenate((mid & 63, (high >> 4) | ((mid >> 2) & 48)), axis=1)
    pairs = blocks[:, 16:].reshape(-1, 4, 32)
    codes = np.stack((pairs & 0x0F, pairs >> 4), axis=2).reshape(-1, 256)
    return codes, factor * scale, -factor_min * minimum


DECODERS = {Kind.Q4_0: _q4_0, Kind.Q4_1: _q4_1, Kind.Q4_K: _q4_k}
