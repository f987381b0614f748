"""Turns chunks of sequences into the rows of one forward pass, and back into logits.

`Runner` is what the engine needs from a model. `LeanRunner` drives our decoder over the blocked cache;
inference.engine.fallback has the other one.
"""

from typing import Protocol

import torch

from inference.engine.kv_cache import KVCache
from inference.engine.model import AttentionGroup, Decoder, Rows
from inference.engine.scheduler import Chunk
from inference.engine.sequence import Sequence


class Runner(Protocol):
    def run(self, chunks: list[Chunk]) -> torch.Tensor:
        """Compute the chunks; logits fp32 [R, V] for those that are sampled, in their order."""

    def forget(self, sequence: Sequence) -> None:
        """The sequence is finished or preempted: what was kept for it may go."""


class LeanRunner:
    def __init__(self, model: Decoder, cache: KVCache) -> None:
        self.model, self.cache = model, cache
        self.device = model.embedding.device

    def run(self, chunks: list[Chunk]) -> torch.Tensor:
        # Neighbouring rows of like length share one attention call.
        order = sorted(range(len(chunks)), key=lambda i: _bucket(chunks[i]))
        logits = self.model.forward(self._rows([chunks[i] for i in order]), self.cache)
        places = [i for i in order if chunks[i].is_sampled]
        if places == sorted(places):
            return logits
        return logits[torch.tensor(places).argsort().to(logits.device)]

    def forget(self, sequence: Sequence) -> None:
        """Nothing to do: keys and values live in blocks, which the scheduler owns."""

    def _rows(self, chunks: list[Chunk]) -> Rows:
        tokens: list[int] = []
        positions: list[int] = []
        slots: list[int] = []
        sampled: list[int] = []
        size = self.cache.block_size
        for chunk in chunks:
            blocks = chunk.sequence.blocks
            tokens += chunk.sequence.tokens[chunk.start : chunk.end]
            positions += range(chunk.start, chunk.end)
            slots += [blocks[at // size] * size + at % size for at in range(chunk.start, chunk.end)]
            if chunk.is_sampled:
                sampled.append(len(tokens) - 1)
        return Rows(
            tokens=self._ids(tokens),
            positions=self._ids(positions),
            write_rows=self.cache.write_rows(torch.tensor(slots)).to(self.device),
            groups=self._groups(chunks),
            sampled=self._ids(sampled),
        )

    def _groups(self, chunks: list[Chunk]) -> list[AttentionGroup]:
        groups: list[AttentionGroup] = []
        row = 0
        while chunks:
            bucket = _bucket(chunks[0])
            count = 1
            while bucket > 0 and count < len(chunks) and _bucket(chunks[count]) == bucket:
                count += 1
            group = self._decode_group(row, chunks[:count]) if bucket else self._chunk_group(row, chunks[0])
            groups.append(group)
            row, chunks = group.end, chunks[count:]
        return groups

    def _decode_group(self, row: int, chunks: list[Chunk]) -> AttentionGroup:
        """Streams of one token each, padded to the longest with blocks of their own; padding is masked."""
        num_keys = max(chunk.end for chunk in chunks)
        num_blocks = -(-num_keys // self.cache.block_size)
        owned = [chunk.sequence.blocks[:num_blocks] for chunk in chunks]
        table = [blocks + blocks[-1:] * (num_blocks - len(blocks)) for blocks in owned]
        lengths = torch.tensor([chunk.end for chunk in chunks])
        mask = None
        if len(chunks) > 1:
            is_padding = torch.arange(num_keys) >= lengths[:, None]
            mask = self._mask(is_padding)[:, None, None, :]
        return AttentionGroup(
            start=row,
            end=row + len(chunks),
            num_streams=len(chunks),
            read_rows=self._read_rows(table),
            num_keys=num_keys,
            mask=mask,
            is_chunk=False,
        )

    def _chunk_group(self, row: int, chunk: Chunk) -> AttentionGroup:
        """Several tokens of one sequence: each sees what came before it."""
        num_blocks = -(-chunk.end // self.cache.block_size)
        mask = None
        if chunk.start > 0:
            is_future = torch.arange(chunk.end) > torch.arange(chunk.start, chunk.end)[:, None]
            mask = self._mask(is_future)
        return AttentionGroup(
            start=row,
            end=row + chunk.num_tokens,
            num_streams=1,
            read_rows=self._read_rows([chunk.sequence.blocks[:num_blocks]]),
            num_keys=chunk.end,
            mask=mask,
            is_chunk=True,
            is_causal=chunk.start == 0,
        )

    def _mask(self, is_hidden: torch.Tensor) -> torch.Tensor:
        mask = torch.zeros(is_hidden.shape, dtype=self.model.dtype)
        return mask.masked_fill_(is_hidden, float("-inf")).to(self.device)

    def _read_rows(self, table: list[list[int]]) -> torch.Tensor:
        return self.cache.read_rows(torch.tensor(table)).to(self.device)

    def _ids(self, values: list[int]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.int64).to(self.device)


def _bucket(chunk: Chunk) -> int:
    """0 for prompt chunks; decoding streams by the power of two that holds their length."""
    return 0 if chunk.num_tokens > 1 else chunk.end.bit_length()
