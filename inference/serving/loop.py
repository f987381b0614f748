"""Joins the event loop, where requests live, with the one thread that owns torch.

The thread takes commands between steps, runs `engine.step()`, turns new tokens into text and hands the
whole step over with a single `call_soon_threadsafe`. The event loop never computes: the template and the
tokenizer run in a worker thread. Text that a slow client has not read is joined, so what waits for it is
never more than its own answer.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field

from inference.engine import Delta, Engine, Request, RequestRefused, Sampling
from inference.engine import Usage as EngineUsage
from inference.serving.admission import Admission, Ticket
from inference.serving.app import ModelCard
from inference.serving.pieces import Finished, Piece, Queued, Token, Usage
from inference.serving.text import ChatText, TextStream
from inference.serving.threads import begin_compute_thread
from inference.serving.wire import ChatCall, Refused

log = logging.getLogger(__name__)
DEFAULT_MAX_TOKENS = 1024
MAX_FAILURES_IN_A_ROW = 3


@dataclass
class Job:
    """One request. `text`, `end`, `error` and `wake` belong to the event loop, the rest to the thread."""

    request: Request
    stream: TextStream
    text: list[str] = field(default_factory=list)
    end: EngineUsage | None = None
    reason: str = ""
    error: Refused | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_over(self) -> bool:
        return self.end is not None or self.error is not None


@dataclass(frozen=True)
class Update:
    """What one step brought to one job."""

    job: Job
    text: str = ""
    reason: str = ""
    usage: EngineUsage | None = None
    error: Refused | None = None


class EngineLoop:
    """The real ChatBackend. `start` on the event loop, `close` before it ends.

    on_broken() is called on the event loop when steps keep failing and the process should be replaced.
    """

    def __init__(
        self, engine: Engine, text: ChatText, *, name: str, quantization: str, max_waiting: int
    ) -> None:
        self.engine, self.text = engine, text
        self.card = ModelCard(name, engine.max_context, quantization)
        self.admission = Admission(max_running=engine.config.max_streams, max_waiting=max_waiting)
        self.on_broken: Callable[[], None] = lambda: None
        self._jobs: dict[str, Job] = {}
        self._commands: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._has_begun = threading.Event()
        self._active: dict[str, Job] = {}
        self._num_failures = 0
        self.is_broken = False

    # ---- on the event loop ---------------------------------------------------------------------

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        self._has_begun.wait()

    def close(self) -> None:
        self.fail_open()
        self._commands.put(None)
        self._thread.join(timeout=2)

    def fail_open(self) -> None:
        """End every open request with an error: the process is about to stop. Those who wait follow as
        the slots come free."""
        message = "the engine is stopping: ask again in a few seconds."
        for job in list(self._jobs.values()):
            job.error = job.error or Refused(message, status=503, code="engine_stopping")
            job.wake.set()

    async def open(self, call: ChatCall) -> AsyncGenerator[Piece, None]:
        """Encode, refuse what cannot be done, take a ticket. Raises Refused."""
        request = await asyncio.to_thread(self._encode, call)
        job = Job(request, self.text.stream(call.stop))
        stream = self._pieces(job, self.admission.enter())
        await anext(stream)
        return stream

    def gauges(self) -> Mapping[str, float]:
        stats = self.engine.stats()
        names = ("num_preemptions", "num_prefix_blocks", "num_evicted_blocks", "last_step_ms")
        used = 1 - stats["num_free_blocks"] / max(1, stats["num_blocks"])
        return {
            "running": self.admission.num_running,
            "waiting": self.admission.num_waiting,
            "kv_used_ratio": round(used, 4),
        } | {name: stats[name] for name in names}

    def _encode(self, call: ChatCall) -> Request:
        prompt_ids = self.text.encode_chat(call.messages, continue_final=call.continue_final_message)
        room = self.card.context_length - len(prompt_ids)
        if room < 1:
            raise Refused(
                f"the prompt has {len(prompt_ids)} tokens and the context length is "
                f"{self.card.context_length}: shorten the messages.",
                code="context_length_exceeded",
                param="messages",
            )
        sampling = Sampling(
            max_tokens=min(call.max_tokens or DEFAULT_MAX_TOKENS, room),
            temperature=call.temperature,
            top_p=call.top_p,
            seed=call.seed,
            stop_ids=self.text.stop_ids,
            repetition_penalty=call.repetition_penalty,
        )
        return Request(uuid.uuid4().hex, prompt_ids, sampling, call.salt)

    async def _pieces(self, job: Job, ticket: Ticket) -> AsyncGenerator[Piece, None]:
        entered = time.perf_counter()
        self._jobs[job.request.id] = job
        try:
            yield Queued(0, 0.0)  # taken by `open`, so that closing releases the ticket, read or not
            async for queued in ticket.wait():
                yield queued
            started = time.perf_counter()
            self._commands.put(lambda: self._submit(job))
            first: float | None = None
            while not job.is_over or job.text:
                await job.wake.wait()
                job.wake.clear()
                if job.text:
                    first = first or time.perf_counter()
                    text, job.text = "".join(job.text), []
                    yield Token(text)
            if job.error is not None:
                raise job.error
            yield self._finished(job, entered=entered, started=started, first=first)
        finally:
            del self._jobs[job.request.id]
            if ticket.is_running and job.end is None:
                self._commands.put(lambda: self._cancel(job))
            ticket.release()

    def _finished(self, job: Job, *, entered: float, started: float, first: float | None) -> Finished:
        assert job.end is not None
        num_after_first = max(0, job.end.completion_tokens - 1)
        timing = {
            "queued_ms": round((started - entered) * 1000, 1),
            "ttft_ms": round(((first or time.perf_counter()) - entered) * 1000, 1),
            "prefill_ms": round(job.end.prefill_ms, 1),
            "decode_tokens_per_s": round(num_after_first * 1000 / job.end.decode_ms, 1)
            if job.end.decode_ms
            else 0.0,
            "model": self.card.name,
            "quantization": self.card.quantization,
        }
        usage = Usage(job.end.prompt_tokens, job.end.cached_tokens, job.end.completion_tokens)
        return Finished(job.reason, usage, timing)

    def _deliver(self, updates: list[Update]) -> None:
        for update in updates:
            job = update.job
            if update.text:
                job.text.append(update.text)
            job.reason = update.reason or job.reason
            job.end = update.usage or job.end
            job.error = update.error or job.error
            job.wake.set()

    # ---- on the engine's thread ----------------------------------------------------------------

    def _run(self) -> None:
        begin_compute_thread(self.engine.config.num_threads)
        self._has_begun.set()
        while self._num_failures < MAX_FAILURES_IN_A_ROW:
            try:
                if not self._take_commands():
                    return
                deltas = [delta for delta in self.engine.step() if delta.request_id in self._active]
                updates = [self._digest(delta) for delta in deltas]
                self._num_failures = 0
            except Exception:
                log.exception("a step failed; %d open requests fail with it", len(self._active))
                updates = self._fail_all()
            self._send(updates)
        self.is_broken = True
        self._loop.call_soon_threadsafe(self.on_broken)

    def _take_commands(self) -> bool:
        """Run what was asked for since the last step; wait while there is nothing to do. False: stop."""
        while True:
            try:
                command = self._commands.get(block=not self.engine.has_work)
            except queue.Empty:
                return True
            if command is None:
                return False
            command()

    def _submit(self, job: Job) -> None:
        self._active[job.request.id] = job
        try:
            self.engine.submit(job.request)
        except RequestRefused as error:
            del self._active[job.request.id]
            self._send([Update(job, error=Refused(error.message, code=error.code))])

    def _cancel(self, job: Job) -> None:
        """Nobody reads any more: forget the job, free its slot at the next step."""
        self._active.pop(job.request.id, None)
        self.engine.cancel(job.request.id)

    def _fail_all(self) -> list[Update]:
        """Whose fault it was cannot be known: everybody is told, the engine starts from nothing."""
        self._num_failures += 1
        updates = [Update(job, error=failure()) for job in self._active.values()]
        self._active.clear()
        try:
            self.engine.abort_all()
        except Exception:
            log.exception("the engine cannot be brought back")
            self._num_failures = MAX_FAILURES_IN_A_ROW
        return updates

    def _digest(self, delta: Delta) -> Update:
        """Tokens become text; a stop string ends the sequence, and the engine confirms at its next step."""
        job = self._active[delta.request_id]
        text = job.stream.feed(delta.token_ids)
        if delta.finish_reason is None:
            if job.stream.is_stopped:
                self.engine.cancel(delta.request_id)
            return Update(job, text)
        del self._active[delta.request_id]
        if delta.finish_reason == "error" or delta.usage is None:
            return Update(job, text, error=failure())
        if not job.stream.is_stopped:
            text += job.stream.finish()
        reason = "stop" if job.stream.is_stopped else delta.finish_reason
        return Update(job, text, reason, delta.usage)

    def _send(self, updates: list[Update]) -> None:
        if updates:
            self._loop.call_soon_threadsafe(self._deliver, updates)


def failure() -> Refused:
    return Refused("the engine failed in mid-answer: ask again.", status=500, code="engine_failed")
