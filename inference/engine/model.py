"""A Llama/Qwen2-family decoder over a blocked KV cache: norm, rotary attention, gated MLP, tied or own head.

The residual stream, norms, rotation, softmax and the last logits are fp32; products take the weights'
dtype. Rows of different sequences share every product; attention runs per group of `Rows`.

M = rows of this step, H = hidden_size, D = head_dim, S = streams in a group.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from inference.engine.config import ModelConfig
from inference.engine.kv_cache import KVCache
from inference.engine.linear import DECODE_ROWS, Linear, int4_product

SHORTLIST = 32  # best tokens of a row whose logits are computed again, in fp32 from the dense head


@dataclass(slots=True)
class AttentionGroup:
    """Rows [start, end) that attend alike: S decoding streams, or the tokens of one prompt chunk.

    read_rows  int64, what `KVCache.gather` fetches for these streams
    num_keys   keys to look at; what is gathered beyond them is padding of the last block
    mask       additive, [S, 1, 1, num_keys] when decoding, [tokens, num_keys] in a chunk, or None
    """

    start: int
    end: int
    num_streams: int
    read_rows: torch.Tensor
    num_keys: int
    mask: torch.Tensor | None
    is_chunk: bool
    is_causal: bool = False


@dataclass(slots=True)
class Rows:
    """The input of one forward pass. tokens, positions int64 [M]; write_rows int64 [M * 2 * kv heads]."""

    tokens: torch.Tensor
    positions: torch.Tensor
    write_rows: torch.Tensor
    groups: list[AttentionGroup]
    sampled: torch.Tensor  # int64 [R], rows whose logits are wanted


@dataclass(slots=True)
class Layer:
    attention_norm: torch.Tensor
    qkv: Linear
    output: Linear
    mlp_norm: torch.Tensor
    gate_up: Linear
    down: Linear


class Head:
    """Hidden states [R, H] to logits fp32 [R, V].

    Products in 16 bits leave ties and int4 leaves noise, so both only make a shortlist: the best
    SHORTLIST tokens of a row are scored again in fp32 from the dense rows [V, H].
    """

    def __init__(
        self,
        dense: torch.Tensor,
        packed: torch.Tensor | None = None,
        scales: torch.Tensor | None = None,
    ) -> None:
        self.dense, self.packed, self.scales = dense, packed, scales

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        logits = self._rough(hidden.to(self.dense.dtype)).float()
        if self.dense.dtype == torch.float32:
            return logits
        best = logits.topk(min(SHORTLIST, logits.shape[1]), dim=1).indices
        exact = torch.bmm(self.dense[best].float(), hidden.unsqueeze(2)).squeeze(2)
        return logits.scatter_(1, best, exact)

    def _rough(self, hidden: torch.Tensor) -> torch.Tensor:
        if self.packed is None or self.scales is None:
            return F.linear(hidden, self.dense)
        group_size = self.dense.shape[1] // self.scales.shape[0]
        pieces = [
            int4_product(rows, self.packed, self.scales, group_size) for rows in hidden.split(DECODE_ROWS)
        ]
        return torch.cat(pieces)


class Decoder:
    """The whole model. `forward` writes keys and values of its rows and returns logits of sampled ones."""

    def __init__(
        self,
        config: ModelConfig,
        *,
        embedding: torch.Tensor,
        layers: list[Layer],
        norm: torch.Tensor,
        head: Head,
        inverse_frequencies: torch.Tensor,
        max_context: int,
        dtype: torch.dtype,
    ) -> None:
        self.config, self.dtype = config, dtype
        self.embedding, self.layers, self.norm, self.head = embedding, layers, norm, head
        angles = torch.outer(torch.arange(max_context, dtype=torch.float32), inverse_frequencies.float())
        angles = angles.to(embedding.device)
        self.cos = torch.cat((angles.cos(), angles.cos()), dim=1)
        self.sin = torch.cat((-angles.sin(), angles.sin()), dim=1)

    @torch.inference_mode()
    def forward(self, rows: Rows, cache: KVCache) -> torch.Tensor:
        """Logits fp32 [R, V] of `rows.sampled`."""
        hidden = F.embedding(rows.tokens, self.embedding).float()
        rotation = self._rotation(rows.positions)
        for index, layer in enumerate(self.layers):
            fused = layer.qkv(self._norm(hidden, layer.attention_norm))
            hidden = hidden + layer.output(self._attend(index, fused, rotation, rows, cache))
            gate, up = layer.gate_up(self._norm(hidden, layer.mlp_norm)).chunk(2, dim=1)
            hidden = hidden + layer.down(F.silu(gate) * up)
        if not len(rows.sampled):
            return hidden.new_empty(0, self.config.vocab_size)
        last = hidden.index_select(0, rows.sampled)
        return self.head(F.rms_norm(last, (last.shape[1],), self.norm, self.config.norm_eps))

    def _norm(self, hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(hidden, (hidden.shape[1],), weight, self.config.norm_eps).to(self.dtype)

    def _rotation(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """cos and signed sin for every fused head, fp32 [M, heads, D]; values are turned by nothing."""
        num_values = self.config.num_kv_heads
        num_turned = self.config.num_fused_heads - num_values
        cos = self.cos[positions].unsqueeze(1).repeat(1, self.config.num_fused_heads, 1)
        sin = self.sin[positions].unsqueeze(1).repeat(1, self.config.num_fused_heads, 1)
        cos[:, num_turned:], sin[:, num_turned:] = 1.0, 0.0
        return cos, sin

    def _attend(
        self,
        layer: int,
        fused: torch.Tensor,
        rotation: tuple[torch.Tensor, torch.Tensor],
        rows: Rows,
        cache: KVCache,
    ) -> torch.Tensor:
        """Turn, store, attend: fused [M, heads * D] -> [M, num_heads * D]."""
        cos, sin = rotation
        heads = fused.view(len(fused), self.config.num_fused_heads, self.config.head_dim)
        left, right = heads.chunk(2, dim=2)
        turned = torch.addcmul(heads * cos, torch.cat((right, left), dim=2), sin).to(self.dtype)
        keys_values = turned[:, self.config.num_heads :].reshape(-1, self.config.head_dim)
        cache.layers[layer].index_copy_(0, rows.write_rows, keys_values)
        queries = turned[:, : self.config.num_heads]
        parts = [self._attend_group(layer, queries, group, cache) for group in rows.groups]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _attend_group(
        self, layer: int, queries: torch.Tensor, group: AttentionGroup, cache: KVCache
    ) -> torch.Tensor:
        keys, values = cache.gather(layer, group.read_rows, group.num_streams)[..., : group.num_keys, :]
        mine = queries[group.start : group.end]
        if group.is_chunk:
            out = F.scaled_dot_product_attention(
                mine.transpose(0, 1).unsqueeze(0),
                keys,
                values,
                attn_mask=group.mask,
                is_causal=group.is_causal,
                enable_gqa=True,
            )
            return out.squeeze(0).transpose(0, 1).reshape(len(mine), -1)
        # One query per stream: the heads that share keys stand in for query positions.
        shape = (len(mine), self.config.num_kv_heads, -1, self.config.head_dim)
        out = F.scaled_dot_product_attention(mine.reshape(shape), keys, values, attn_mask=group.mask)
        return out.reshape(len(mine), -1)
