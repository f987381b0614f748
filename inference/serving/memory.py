"""Keeps the engine process's memory flat: texts come in all lengths, and allocators remember them all.

Measured with prompts and embedding batches of random lengths (see docs/log.md): oneDNN keeps the code it
made for each shape, up to 1,024 of them, and the C library keeps an arena a thread.
"""

from __future__ import annotations

import ctypes
import os

M_ARENA_MAX = -8
NUM_ARENAS = 2
NUM_KEPT_SHAPES = 64


def bound_allocators() -> None:
    """Call before torch is imported; an operator's own values win."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(NUM_KEPT_SHAPES))
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # the GNU C library's alone
    if mallopt is not None and "MALLOC_ARENA_MAX" not in os.environ:
        mallopt(M_ARENA_MAX, NUM_ARENAS)
