"""Embeddings: made by the engine process, kept as float16 beside the passage, searched in memory.

One matrix per set of collections and their epochs; a change of any article makes a new key, so no answer
comes from a matrix that is older than its knowledge (reloading is held back to once a second while a
large ingestion runs). 20,000 passages take 31 MB.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from assistant.conversations.engine import get_embedder
from assistant.knowledge.models import Collection, Passage

DIMENSIONS = 384
MAX_MATRICES = 4
MIN_RELOAD_S = 1.0
# MiniLM reads 256 word pieces; the heading path in front says what a passage is about.
MAX_CHARACTERS = 1200

Epochs = tuple[tuple[int, int], ...]


@dataclass
class Matrix:
    """ids int64 [N], ascending; vectors fp32 [N, 384]: normalised rows, or zeros where not embedded yet."""

    epochs: Epochs
    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]
    loaded_at: float = field(default_factory=time.monotonic)

    def rows(self, ids: Sequence[int]) -> NDArray[np.int64]:
        """Row of each id; -1 for those that are not of these collections."""
        wanted = np.asarray(ids, dtype=np.int64)
        if not len(self.ids):
            return np.full(len(wanted), -1)
        at = np.clip(np.searchsorted(self.ids, wanted), 0, len(self.ids) - 1)
        return np.where(self.ids[at] == wanted, at, -1)


_matrices: OrderedDict[tuple[int, ...], Matrix] = OrderedDict()
_lock = threading.Lock()


def matrix_for(collections: Sequence[Collection]) -> Matrix:
    epochs = tuple(sorted((collection.pk, collection.epoch) for collection in collections))
    key = tuple(pk for pk, _ in epochs)
    with _lock:
        matrix = _matrices.get(key)
        is_recent = matrix is not None and time.monotonic() - matrix.loaded_at < MIN_RELOAD_S
        if matrix is None or (matrix.epochs != epochs and not (is_recent and len(matrix.ids) > 2000)):
            matrix = _matrices[key] = load(epochs)
        _matrices.move_to_end(key)
        while len(_matrices) > MAX_MATRICES:
            _matrices.popitem(last=False)
        return matrix


def load(epochs: Epochs) -> Matrix:
    rows = (
        Passage.objects.filter(article__collection__in=[pk for pk, _ in epochs])
        .order_by("pk")
        .values_list("pk", "embedding")
    )
    blank = bytes(DIMENSIONS * 2)
    ids: list[int] = []
    packed = bytearray()
    for pk, embedding in rows.iterator(chunk_size=2000):
        ids.append(pk)
        packed += bytes(embedding) if embedding is not None and len(embedding) == len(blank) else blank
    vectors = np.frombuffer(bytes(packed), dtype=np.float16).reshape(-1, DIMENSIONS).astype(np.float32)
    return Matrix(epochs, np.asarray(ids, dtype=np.int64), vectors)


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """fp32 [len(texts), 384], normalised. Blocks; raises EngineError when the engine process is away."""
    if not texts:
        return np.zeros((0, DIMENSIONS), dtype=np.float32)
    return np.asarray(get_embedder().embed_sync([text[:MAX_CHARACTERS] for text in texts]), dtype=np.float32)


def passage_text(headings: str, text: str) -> str:
    return f"{headings}\n{text}"


def pack(vector: NDArray[np.float32]) -> bytes:
    return vector.astype(np.float16).tobytes()
