"""Who computes what in the next step. One rule: let computed tokens catch up with known tokens.

Sequences that decode go first, one token each; what is left of the step's token budget is filled with
chunks of prompts, first come first served. The same rule covers chunked prefill, prefix hits (computed
tokens that come for free) and preemption (computed tokens that were given up). Knows no tensors.
"""

import time
from collections import deque
from dataclasses import dataclass, field

from inference.engine.kv_cache import BlockPool, root_digest
from inference.engine.sequence import Sequence


@dataclass(frozen=True, slots=True)
class Chunk:
    """Tokens [start, end) of one sequence, to be computed in this step."""

    sequence: Sequence
    start: int
    end: int

    @property
    def num_tokens(self) -> int:
        return self.end - self.start

    @property
    def is_sampled(self) -> bool:
        """Whether its last token is the last known one, so that the next can be chosen."""
        return self.end == self.sequence.num_known


@dataclass(frozen=True, slots=True)
class Batch:
    decode: list[Chunk] = field(default_factory=list)
    prefill: list[Chunk] = field(default_factory=list)


class Scheduler:
    """Owns the queues and the blocks of every sequence. `pool` is shared with nobody else."""

    def __init__(self, pool: BlockPool, *, max_streams: int, prefill_chunk: int) -> None:
        self.pool = pool
        self.max_streams = max_streams
        self.prefill_chunk = prefill_chunk
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self.num_preemptions = 0

    def add(self, sequence: Sequence) -> None:
        self.waiting.append(sequence)

    def schedule(self) -> Batch:
        decode = self._schedule_decode()
        budget = max(1, self.prefill_chunk - len(decode))
        prefill: list[Chunk] = []
        decoding = {id(chunk.sequence) for chunk in decode}
        for sequence in self.running:
            if budget > 0 and id(sequence) not in decoding:
                budget -= self._take_chunk(sequence, budget, prefill)
        while budget > 0 and self._may_admit():
            budget -= self._take_chunk(self._admit(), budget, prefill)
        return Batch(decode, prefill)

    def mark_computed(self, chunk: Chunk) -> None:
        """The chunk's keys and values are in place: count them and offer full blocks for reuse."""
        sequence, size = chunk.sequence, self.pool.block_size
        sequence.num_computed = chunk.end
        for index in range(len(sequence.digests), chunk.end // size):
            parent = sequence.digests[-1] if sequence.digests else root_digest(sequence.request.salt)
            content = sequence.tokens[index * size : (index + 1) * size]
            sequence.digests.append(self.pool.seal(sequence.blocks[index], parent, content))

    def remove(self, sequence: Sequence) -> None:
        """Take a finished or cancelled sequence out, wherever it is, and free what it held."""
        if sequence in self.running:
            self.running.remove(sequence)
        else:
            self.waiting.remove(sequence)
        self._release(sequence)

    def preempt(self, sequence: Sequence) -> None:
        """Give up its blocks; it waits at the head of the queue and computes again what was lost."""
        self.running.remove(sequence)
        self._release(sequence)
        sequence.num_preempted += 1
        self.num_preemptions += 1
        self.waiting.appendleft(sequence)

    def _schedule_decode(self) -> list[Chunk]:
        for sequence in [candidate for candidate in self.running if candidate.is_decoding]:
            self._make_room(sequence)
        return [Chunk(s, s.num_computed, s.num_known) for s in self.running if s.is_decoding]

    def _make_room(self, sequence: Sequence) -> None:
        """A block for the next token; the latest admitted sequence pays for it if none is free."""
        while sequence in self.running and len(sequence.blocks) < self.pool.blocks_for(sequence.num_known):
            if self.pool.can_allocate(1):
                sequence.blocks += self.pool.allocate(1)
            else:
                self.preempt(self.running[-1])

    def _take_chunk(self, sequence: Sequence, budget: int, chunks: list[Chunk]) -> int:
        end = min(sequence.num_known, sequence.num_computed + budget)
        chunks.append(Chunk(sequence, sequence.num_computed, end))
        return end - sequence.num_computed

    def _may_admit(self) -> bool:
        """Reserve blocks for the head of the queue; running sequences keep one spare block each."""
        if not self.waiting or len(self.running) >= self.max_streams:
            return False
        sequence, pool = self.waiting[0], self.pool
        hits = pool.match(sequence.request.salt, sequence.tokens)
        pool.share(hits)
        wanted = pool.blocks_for(sequence.num_known) - len(hits)
        if not pool.can_allocate(wanted + len(self.running)):
            pool.release(hits)
            return False
        sequence.digests = [pool.digest(block) for block in hits]
        sequence.blocks = hits + pool.allocate(wanted)
        return True

    def _admit(self) -> Sequence:
        sequence = self.waiting.popleft()
        sequence.num_computed = len(sequence.digests) * self.pool.block_size
        if sequence.admitted_at is None:
            sequence.admitted_at = time.perf_counter()
            sequence.num_cached = sequence.num_computed
        self.running.append(sequence)
        return sequence

    def _release(self, sequence: Sequence) -> None:
        self.pool.release(sequence.blocks)
        sequence.blocks, sequence.digests, sequence.num_computed = [], [], 0
