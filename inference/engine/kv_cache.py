"""Memory for keys and values: blocks with reference counts, and an index of prefixes for reuse.

A *block* holds `block_size` consecutive tokens of one sequence. A full block is *sealed*: it enters the
index under a digest chained from the tenant's salt over all tokens before it, so a prefix is shared
only inside one tenant. A block nobody uses stays in the index until it is the least recently used one
and its memory is wanted. `BlockPool` is bookkeeping only; `KVCache` holds the tensors.
"""

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Sequence as Tokens

import torch

from inference.engine.config import ModelConfig


class BlockPool:
    """Hands out block ids, counts their users, and finds sealed blocks by what they hold."""

    def __init__(self, num_blocks: int, block_size: int, *, is_sharing: bool = True) -> None:
        self.num_blocks = num_blocks
        self.block_size = block_size
        self.is_sharing = is_sharing
        self.num_users = [0] * num_blocks
        self.num_evicted = 0
        self._free: OrderedDict[int, None] = OrderedDict.fromkeys(range(num_blocks))
        self._index: dict[bytes, int] = {}
        self._sealed: dict[int, tuple[bytes, bytes, tuple[int, ...]]] = {}

    @property
    def num_free(self) -> int:
        """Blocks nobody uses; some of them may still serve as prefix hits."""
        return len(self._free)

    @property
    def num_sealed(self) -> int:
        return len(self._sealed)

    def blocks_for(self, num_tokens: int) -> int:
        return -(-num_tokens // self.block_size)

    def can_allocate(self, count: int) -> bool:
        return count <= len(self._free)

    def allocate(self, count: int) -> list[int]:
        """Take `count` blocks, least recently used first; what they held is forgotten."""
        assert self.can_allocate(count), f"{count} blocks wanted, {len(self._free)} free"
        taken = [self._free.popitem(last=False)[0] for _ in range(count)]
        for block in taken:
            self.num_users[block] = 1
            self._forget(block)
        return taken

    def share(self, blocks: Tokens[int]) -> None:
        """Use blocks that `match` found, once more."""
        for block in blocks:
            self._free.pop(block, None)
            self.num_users[block] += 1

    def release(self, blocks: Tokens[int]) -> None:
        """Give blocks back. Tails become the oldest: the head of a prefix is worth most."""
        for block in reversed(blocks):
            self.num_users[block] -= 1
            assert self.num_users[block] >= 0, f"block {block} was released twice"
            if self.num_users[block] == 0:
                self._free[block] = None
                if block not in self._sealed:
                    self._free.move_to_end(block, last=False)

    def match(self, salt: str, tokens: Tokens[int]) -> list[int]:
        """The longest run of sealed blocks that begins `tokens`; at least one token is left to compute."""
        found: list[int] = []
        if not self.is_sharing:
            return found
        parent = root_digest(salt)
        for start in range(0, len(tokens) - self.block_size, self.block_size):
            chunk = tuple(tokens[start : start + self.block_size])
            digest = chain_digest(parent, chunk)
            block = self._index.get(digest)
            if block is None or self._sealed[block] != (digest, parent, chunk):
                break
            found.append(block)
            parent = digest
        return found

    def digest(self, block: int) -> bytes:
        """The digest under which a sealed block is known."""
        return self._sealed[block][0]

    def seal(self, block: int, parent: bytes, chunk: Tokens[int]) -> bytes:
        """Offer a full block for reuse and return its digest. The first holder of a content keeps it."""
        digest = chain_digest(parent, chunk)
        if self.is_sharing and digest not in self._index and block not in self._sealed:
            self._index[digest] = block
            self._sealed[block] = (digest, parent, tuple(chunk))
        return digest

    def _forget(self, block: int) -> None:
        sealed = self._sealed.pop(block, None)
        if sealed is not None:
            self.num_evicted += 1
            del self._index[sealed[0]]


def root_digest(salt: str) -> bytes:
    return hashlib.blake2b(salt.encode(), digest_size=16, person=b"parley-kv").digest()


def chain_digest(parent: bytes, chunk: Tokens[int]) -> bytes:
    return hashlib.blake2b(parent + array("q", chunk).tobytes(), digest_size=16).digest()


class KVCache:
    """Keys and values of every layer, preallocated.

    One tensor per layer, T = num_blocks * block_size, D = head_dim:
        [2 (key, value) * num_kv_heads * T, D], row = (head * num_blocks + block) * block_size + offset
    so that a head's tokens of one block are contiguous and one gather fetches keys and values together.
    """

    def __init__(
        self, config: ModelConfig, *, num_blocks: int, block_size: int, dtype: torch.dtype, device: str
    ) -> None:
        self.num_blocks, self.block_size = num_blocks, block_size
        self.num_heads = 2 * config.num_kv_heads
        rows = self.num_heads * num_blocks * block_size
        self.layers = [
            torch.zeros(rows, config.head_dim, dtype=dtype, device=device) for _ in range(config.num_layers)
        ]
        heads = torch.arange(self.num_heads, dtype=torch.int64)
        self._head_rows = heads * num_blocks * block_size
        self._head_blocks = heads * num_blocks

    @property
    def num_bytes(self) -> int:
        return sum(layer.nbytes for layer in self.layers)

    def write_rows(self, positions: torch.Tensor) -> torch.Tensor:
        """Rows for tokens at flat positions (block * block_size + offset), int64 [M] -> [M * heads]."""
        return (positions[:, None] + self._head_rows).reshape(-1)

    def read_rows(self, blocks: torch.Tensor) -> torch.Tensor:
        """Block rows that `gather` reads, int64 [S, n] -> [heads * S * n], as (key|value, S, head, n)."""
        num_streams, _ = blocks.shape
        rows = self._head_blocks.view(2, 1, -1, 1) + blocks.view(1, num_streams, 1, -1)
        return rows.reshape(-1)

    def gather(self, layer: int, rows: torch.Tensor, num_streams: int) -> torch.Tensor:
        """Keys and values, [2, S, num_kv_heads, n * block_size, D], copied into one contiguous piece."""
        table = self.layers[layer].view(-1, self.block_size * self.layers[layer].shape[1])
        picked = torch.index_select(table, 0, rows)
        return picked.view(2, num_streams, self.num_heads // 2, -1, self.layers[layer].shape[1])
