"""The engine: schedule, run, postprocess.

Owns the requests between `submit` and their last delta. One thread calls it; a cancellation takes effect
at the next step. If `step` raises, the engine cannot know which request was at fault: the caller ends
all of them with `abort_all`.
"""

import time
from pathlib import Path
from typing import Any

import torch

from inference.engine.config import EngineConfig
from inference.engine.errors import RequestRefused
from inference.engine.kv_cache import BlockPool
from inference.engine.loader import load_runner
from inference.engine.request import Delta, FinishReason, Request
from inference.engine.runner import Runner
from inference.engine.sampler import NOT_FINITE, sample
from inference.engine.scheduler import Chunk, Scheduler
from inference.engine.sequence import Sequence
from inference.engine.threads import ThreadGovernor


class Engine:
    """A model with its cache and its queue. `max_context` is the smaller of the model's and the config's."""

    def __init__(self, runner: Runner, config: EngineConfig, *, max_context: int, vocab_size: int) -> None:
        self.runner, self.config = runner, config
        self.max_context = min(max_context, config.num_blocks * config.block_size)
        self.vocab_size = vocab_size
        self.pool = BlockPool(config.num_blocks, config.block_size, is_sharing=config.prefix_cache)
        self.scheduler = Scheduler(
            self.pool, max_streams=config.max_streams, prefill_chunk=config.prefill_chunk
        )
        self.threads = ThreadGovernor(torch.get_num_threads() if config.device == "cpu" else 1)
        self._sequences: dict[str, Sequence] = {}
        self._totals = {"steps": 0, "prompt_tokens": 0, "cached_tokens": 0, "completion_tokens": 0}
        self._step_ms = 0.0

    @classmethod
    def load(cls, model_dir: Path, config: EngineConfig | None = None) -> "Engine":
        """Map a converted folder. Raises ModelRefused if it is not one, or not of this quantization."""
        config = config or EngineConfig()
        if config.num_threads:
            torch.set_num_threads(config.num_threads)
        loaded = load_runner(Path(model_dir), config)
        return cls(loaded.runner, loaded.config, max_context=loaded.max_context, vocab_size=loaded.vocab_size)

    def submit(self, request: Request) -> None:
        """Queue a request. Raises RequestRefused: context_length_exceeded, invalid_request."""
        num_prompt = len(request.prompt_ids)
        if request.id in self._sequences:
            raise RequestRefused("invalid_request", f"Request id {request.id!r} is in use; choose another.")
        if num_prompt >= self.max_context:
            raise RequestRefused(
                "context_length_exceeded",
                f"The prompt has {num_prompt} tokens and leaves no room for an answer: this model's context "
                f"holds {self.max_context}. Shorten the prompt.",
            )
        if not all(0 <= token < self.vocab_size for token in request.prompt_ids):
            raise RequestRefused("invalid_request", f"Token ids must be from 0 to {self.vocab_size - 1}.")
        max_tokens = min(request.sampling.max_tokens, self.max_context - num_prompt)
        sequence = Sequence.begin(request, max_tokens)
        self._sequences[request.id] = sequence
        self.scheduler.add(sequence)

    def cancel(self, request_id: str) -> bool:
        """End a request at the next step; False if it is not known (any more)."""
        sequence = self._sequences.get(request_id)
        if sequence is None:
            return False
        sequence.is_cancelled = True
        return True

    def step(self) -> list[Delta]:
        """Advance every sequence that fits into one batch. No two deltas are of the same request."""
        start = time.perf_counter()
        deltas = self._reap_cancelled()
        batch = self.scheduler.schedule()
        with self.threads.step((len(batch.decode), sum(chunk.num_tokens for chunk in batch.prefill))):
            for chunks in (batch.decode, batch.prefill):
                if chunks:
                    deltas += self._postprocess(chunks, self.runner.run(chunks))
        self._totals["steps"] += 1
        self._step_ms = (time.perf_counter() - start) * 1e3
        return deltas

    def abort_all(self) -> list[Delta]:
        """End every request with "error" and free all blocks: the way out after `step` raised."""
        return [self._finish(sequence, [], "error") for sequence in list(self._sequences.values())]

    @property
    def has_work(self) -> bool:
        return bool(self._sequences)

    @property
    def num_waiting(self) -> int:
        return len(self.scheduler.waiting)

    @property
    def num_running(self) -> int:
        return len(self.scheduler.running)

    def stats(self) -> dict[str, Any]:
        """Counters since start and the present fill, for metrics."""
        return {
            **self._totals,
            "num_waiting": self.num_waiting,
            "num_running": self.num_running,
            "num_preemptions": self.scheduler.num_preemptions,
            "num_blocks": self.pool.num_blocks,
            "num_free_blocks": self.pool.num_free,
            "num_prefix_blocks": self.pool.num_sealed,
            "num_evicted_blocks": self.pool.num_evicted,
            "num_threads": self.threads.current,
            "last_step_ms": round(self._step_ms, 3),
        }

    def _postprocess(self, chunks: list[Chunk], logits: torch.Tensor) -> list[Delta]:
        for chunk in chunks:
            self.scheduler.mark_computed(chunk)
        sequences = [chunk.sequence for chunk in chunks if chunk.is_sampled]
        if not sequences:
            return []
        tokens = sample(logits, sequences)
        return [self._advance(sequence, token) for sequence, token in zip(sequences, tokens, strict=True)]

    def _advance(self, sequence: Sequence, token: int) -> Delta:
        if token == NOT_FINITE:
            return self._finish(sequence, [], "error")
        reason = sequence.append(token)
        kept = [] if reason == "stop" else [token]
        if reason is not None:
            return self._finish(sequence, kept, reason)
        return Delta(sequence.request.id, kept)

    def _reap_cancelled(self) -> list[Delta]:
        cancelled = [sequence for sequence in self._sequences.values() if sequence.is_cancelled]
        return [self._finish(sequence, [], "cancelled") for sequence in cancelled]

    def _finish(self, sequence: Sequence, token_ids: list[int], reason: FinishReason) -> Delta:
        del self._sequences[sequence.request.id]
        self.scheduler.remove(sequence)
        self.runner.forget(sequence)
        usage = sequence.usage()
        for name in ("prompt_tokens", "cached_tokens", "completion_tokens"):
            self._totals[name] += getattr(usage, name)
        return Delta(sequence.request.id, token_ids, reason, usage)
