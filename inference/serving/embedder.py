"""Sentence vectors by MiniLM: a lean BERT encoder on torch, mean pooling, length 1.

Texts are sorted by length and batched by tokens, so that little is padded. A single question runs on a
thread of its own at normal priority; bulk work runs on others, niced, so that indexing a library does not
slow the chat. bf16 is used where a measurement at start finds it faster.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from inference.serving.app import ModelCard
from inference.serving.folders import ModelFolder
from inference.serving.threads import begin_compute_thread, num_cores

MAX_QUERY_TEXTS = 4
BATCH_TOKENS = 2048
BULK_NICENESS = 10


Affine = tuple[Tensor, Tensor]
"""Weight and bias."""


@dataclass(frozen=True)
class Layer:
    qkv: Affine
    output: Affine
    attention_norm: Affine
    up: Affine
    down: Affine
    norm: Affine


def affine_of(weights: dict[str, Tensor], *names: str) -> Affine:
    """The named linear maps (or norms) as one."""
    parts = [(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in names]
    return torch.cat([weight for weight, _ in parts]), torch.cat([bias for _, bias in parts])


def layer_of(weights: dict[str, Tensor], prefix: str) -> Layer:
    heads = (f"{prefix}.attention.self.{name}" for name in ("query", "key", "value"))
    return Layer(
        qkv=affine_of(weights, *heads),
        output=affine_of(weights, f"{prefix}.attention.output.dense"),
        attention_norm=affine_of(weights, f"{prefix}.attention.output.LayerNorm"),
        up=affine_of(weights, f"{prefix}.intermediate.dense"),
        down=affine_of(weights, f"{prefix}.output.dense"),
        norm=affine_of(weights, f"{prefix}.output.LayerNorm"),
    )


class Encoder:
    """BERT without its pooler. Weights [out, in]; tokens int64 [N, T]; states [N, T, hidden]."""

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        weights = {
            name: tensor.to(dtype)
            for name, tensor in load_file(folder / "model.safetensors").items()
            if tensor.is_floating_point()
        }
        self.num_heads, self.epsilon = config["num_attention_heads"], config["layer_norm_eps"]
        self.words = weights["embeddings.word_embeddings.weight"]
        self.places = (
            weights["embeddings.position_embeddings.weight"]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        self.norm = affine_of(weights, "embeddings.LayerNorm")
        self.layers = [layer_of(weights, f"encoder.layer.{i}") for i in range(config["num_hidden_layers"])]

    @torch.inference_mode()
    def encode(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """fp32 [N, hidden], each row of length 1: the mean over a text's tokens."""
        is_token = torch.arange(tokens.shape[1])[None] < lengths[:, None]
        mask = None if bool(is_token.all()) else is_token[:, None, None, :]
        states = self._normed(self.words[tokens] + self.places[: tokens.shape[1]], self.norm)
        for layer in self.layers:
            states = self._layer(states, mask, layer)
        kept = states.float() * is_token[:, :, None]
        return F.normalize(kept.sum(1) / lengths[:, None], dim=-1)

    def _layer(self, states: Tensor, mask: Tensor | None, layer: Layer) -> Tensor:
        num, length, hidden = states.shape
        qkv = F.linear(states, *layer.qkv).view(num, length, 3, self.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        mixed = F.linear(mixed.transpose(1, 2).reshape(num, length, hidden), *layer.output)
        states = self._normed(states + mixed, layer.attention_norm)
        inner = F.gelu(F.linear(states, *layer.up))
        return self._normed(states + F.linear(inner, *layer.down), layer.norm)

    def _normed(self, states: Tensor, norm: Affine) -> Tensor:
        return F.layer_norm(states, states.shape[-1:], *norm, self.epsilon)


class Embedder:
    """The EmbeddingBackend. A batch runs on one core, `num_threads` bulk batches side by side (0: one for
    each core): two cores that wait for each other inside every product are slower than two that do not."""

    def __init__(self, folder: Path, *, num_threads: int = 0) -> None:
        card = ModelFolder.read(folder)
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(card.context_length)
        self._tokenizer.no_padding()
        self._queries = workers("embed-query", 1, niceness=0)
        self._bulk = workers("embed-bulk", num_threads or num_cores(), niceness=BULK_NICENESS)
        self._encoder = self._queries.submit(faster_encoder, folder).result()
        self.card = ModelCard(card.name, card.context_length, dimensions=self._encoder.words.shape[1])

    async def embed(self, texts: Sequence[str]) -> tuple[list[bytes], int]:
        """Vectors as little-endian float32 bytes, in the order of the texts, and the tokens read."""
        loop = asyncio.get_running_loop()
        pool = self._queries if len(texts) <= MAX_QUERY_TEXTS else self._bulk
        ids = await loop.run_in_executor(pool, self._tokenize, texts)
        batches = batches_by_length([len(one) for one in ids])
        parts = [loop.run_in_executor(pool, self._encode, [ids[i] for i in batch]) for batch in batches]
        vectors = [b""] * len(texts)
        for batch, part in zip(batches, await asyncio.gather(*parts), strict=True):
            for index, vector in zip(batch, part, strict=True):
                vectors[index] = vector
        return vectors, sum(map(len, ids))

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]

    def _encode(self, ids: list[list[int]]) -> list[bytes]:
        lengths = torch.tensor([len(one) for one in ids])
        tokens = torch.zeros(len(ids), int(lengths.max()), dtype=torch.long)
        for row, one in enumerate(ids):
            tokens[row, : len(one)] = torch.tensor(one)
        return [row.tobytes() for row in self._encoder.encode(tokens, lengths).numpy()]


def batches_by_length(lengths: Sequence[int]) -> list[list[int]]:
    """Indices, longest first, in batches of at most BATCH_TOKENS padded tokens (but at least one text)."""
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if not batches or (len(batches[-1]) + 1) * lengths[batches[-1][0]] > BATCH_TOKENS:
            batches.append([])
        batches[-1].append(index)
    return batches


def faster_encoder(folder: Path) -> Encoder:
    """f32 or bf16, whichever a batch of this machine takes less time for (the best of three each)."""
    tokens, lengths = torch.zeros(16, 64, dtype=torch.long), torch.full((16,), 64)
    encoders = [Encoder(folder, dtype) for dtype in (torch.float32, torch.bfloat16)]

    def seconds(encoder: Encoder) -> float:
        return min(timed(lambda: encoder.encode(tokens, lengths)) for _ in range(3))

    return min(encoders, key=seconds)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def workers(name: str, num: int, *, niceness: int) -> ThreadPoolExecutor:
    begin = partial(begin_compute_thread, 1, niceness)
    return ThreadPoolExecutor(max_workers=num, thread_name_prefix=name, initializer=begin)
