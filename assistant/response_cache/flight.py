"""One flight: of all who ask the same thing at the same time one generates, the others read along.

The leader holds a lease in Valkey (SET NX PX, a token, renewed) and writes what the guard released to a
stream of its own token; followers read that stream from its beginning. A leader that dies loses the lease
and a follower takes it: it and the others get `Reset` and go on with the new stream. An old leader that
comes back writes where nobody reads. Without Valkey everybody is a leader of nobody.

    seat = await flight.join(question)
    if isinstance(seat, Leader):            # generate, publish what is released, then land, retract,
        async with seat:                    # decline or abandon; left without an end, a seat is abandoned
            await seat.publish(text) …
            await seat.land(answer)
    else:
        async for event in seat:            # Chunk | Reset …, at last Landed, Retracted or Promoted
            …
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from assistant.redis import get_async_redis
from assistant.response_cache import metrics
from assistant.response_cache.bypass import is_left_aside
from assistant.response_cache.entries import Answer, EntryInvalid, pack, unpack
from assistant.response_cache.keys import Question, cache_key, fingerprint
from assistant.response_cache.tails import read_along

log = logging.getLogger(__name__)
LEASE_MS = 6_000
RENEW_S = 1.5
STREAM_TTL_S = 120
# No answer takes so long: a leader that forgot to end its seat loses the lease then.
MAX_FLIGHT_S = 900
# A stalled Valkey must not hold up an answer longer than this.
PATIENCE_S = 1.5
_TROUBLE = (RedisError, OSError, TimeoutError)

_IF_OURS = "if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end "
_RENEW = _IF_OURS + "return redis.call('pexpire', KEYS[1], ARGV[2])"
_RELEASE = _IF_OURS + "return redis.call('del', KEYS[1])"


@dataclass(frozen=True)
class Chunk:
    text: str


@dataclass(frozen=True)
class Reset:
    """What was read so far is void: its leader is gone, and another generates anew."""


@dataclass(frozen=True)
class Landed:
    """The leader finished; `answer` is whole."""

    answer: Answer


@dataclass(frozen=True)
class Retracted:
    """The guard took the answer back; what was read of it must go."""

    reason: str
    replacement: str


@dataclass(frozen=True)
class Promoted:
    """The reader leads from here on: it must generate and end its seat like any leader. The last event."""

    leader: Leader


Event = Chunk | Reset | Landed | Retracted | Promoted


class Leader:
    """A seat that generates. `is_followed` is False when nobody can read along (Valkey away, or declined)."""

    def __init__(self, question: Question, token: str = "") -> None:
        self._question = question
        self._key = cache_key(question)
        self._token = token
        self._outbox: asyncio.Queue[dict[str, str] | None] = asyncio.Queue()
        self._sender = asyncio.create_task(self._send()) if token else None

    @property
    def is_followed(self) -> bool:
        return self._sender is not None and not self._sender.done()

    async def __aenter__(self) -> Leader:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.abandon()

    async def publish(self, text: str) -> None:
        """Pass on what was released. Returns at once: followers must not slow the leader down."""
        if text and self.is_followed:
            self._outbox.put_nowait({"kind": "chunk", "text": text})

    async def land(self, answer: Answer) -> None:
        """The answer is finished and cleared (store it first, so that latecomers find it)."""
        packed = pack(answer, fingerprint(self._question))
        await self._end({"kind": "landed", "text": packed})

    async def retract(self, *, reason: str, replacement: str) -> None:
        """The guard took the answer back: for all who read along, or each would generate it again."""
        await self._end({"kind": "retracted", "text": json.dumps([reason, replacement])})

    async def abandon(self) -> None:
        """No answer came of it (stopped, failed): one of the followers takes over."""
        await self._end(None)

    async def decline(self) -> None:
        """The answer would be private: every follower generates alone."""
        await self._end({"kind": "declined", "text": ""})

    async def _end(self, entry: dict[str, str] | None) -> None:
        if self._sender is None:
            return
        sender, self._sender = self._sender, None
        if not sender.done():
            if entry:
                self._outbox.put_nowait(entry)
            self._outbox.put_nowait(None)
            await asyncio.wait([sender], timeout=PATIENCE_S)
        sender.cancel()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await get_async_redis().eval(_RELEASE, 1, lease_key(self._key), self._token)  # type: ignore[misc]
        except _TROUBLE:
            log.info("a flight's lease runs out by itself: Valkey does not answer")

    async def _send(self) -> None:
        """Owns all traffic of the lease: sends the outbox, renews in between, ends with the lease."""
        stream = stream_key(self._key, self._token)
        redis = get_async_redis()
        now = asyncio.get_running_loop().time
        renew_at, give_up_at = now() + RENEW_S, now() + MAX_FLIGHT_S
        try:
            while now() < give_up_at:
                wait_s = max(0.0, renew_at - now())
                entries, is_last = await self._collect(wait_s)
                async with asyncio.timeout(PATIENCE_S), redis.pipeline(transaction=False) as pipe:
                    for entry in entries:
                        pipe.xadd(stream, entry)  # type: ignore[arg-type]
                    pipe.expire(stream, STREAM_TTL_S)
                    pipe.eval(_RENEW, 1, lease_key(self._key), self._token, str(LEASE_MS))
                    *_, is_held = await pipe.execute()
                renew_at = now() + RENEW_S
                if is_last or not is_held:
                    return
        except _TROUBLE as error:
            log.info("a flight goes on alone: %s", error)

    async def _collect(self, wait_s: float) -> tuple[list[dict[str, str]], bool]:
        """What waits to be sent, and whether it is all there will be."""
        entries: list[dict[str, str]] = []
        try:
            async with asyncio.timeout(wait_s):
                item = await self._outbox.get()
        except TimeoutError:
            return entries, False
        while item is not None:
            entries.append(item)
            if self._outbox.empty():
                return entries, False
            item = self._outbox.get_nowait()
        return entries, True


class Follower:
    """A seat that reads along. The last of its events is Landed, Retracted or Promoted."""

    def __init__(self, question: Question, token: str) -> None:
        self._question = question
        self._key = cache_key(question)
        self._token = token

    def __aiter__(self) -> AsyncIterator[Event]:
        return self.events()

    async def events(self) -> AsyncGenerator[Event, None]:
        has_shown = False
        while True:
            is_declined = False
            try:
                async with read_along(stream_key(self._key, self._token), self._is_led) as tail:
                    async for kind, text in tail.entries():
                        if kind == "chunk":
                            has_shown = True
                            yield Chunk(text)
                        elif kind == "landed":
                            yield Landed(unpack(text, fingerprint(self._question)))
                            return
                        elif kind == "retracted":
                            yield Retracted(*json.loads(text))
                            return
                        else:
                            is_declined = True
                next_seat: Leader | str = Leader(self._question) if is_declined else await self._succeed()
            except (*_TROUBLE, EntryInvalid) as error:
                log.info("a follower goes on alone: %s", error)
                next_seat = Leader(self._question)
            if has_shown:
                has_shown = False
                yield Reset()
            if isinstance(next_seat, Leader):
                metrics.FLIGHTS.labels("promoted").inc()
                yield Promoted(next_seat)
                return
            self._token = next_seat

    async def _is_led(self) -> bool:
        return await _holder(self._key) == self._token

    async def _succeed(self) -> Leader | str:
        """Take the lease, or learn who took it."""
        token = secrets.token_hex(8)
        holder = await _claim(self._key, token)
        return Leader(self._question, token) if holder == token else holder


async def join(question: Question) -> Leader | Follower:
    """A seat in the flight of this question. Never raises: without Valkey everybody leads alone."""
    if not question.is_cacheable or is_left_aside():
        return Leader(question)
    token = secrets.token_hex(8)
    try:
        holder = await _claim(cache_key(question), token)
    except _TROUBLE as error:
        log.info("no flight: %s", error)
        metrics.FLIGHTS.labels("alone").inc()
        return Leader(question)
    role = "leader" if holder == token else "follower"
    metrics.FLIGHTS.labels(role).inc()
    return Leader(question, token) if holder == token else Follower(question, holder)


async def _claim(key: str, token: str) -> str:
    """The token that holds the lease afterwards: ours, if nobody held it."""
    redis = get_async_redis()
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if await redis.set(lease_key(key), token, nx=True, px=LEASE_MS):
                return token
            if holder := await _holder(key):
                return holder


async def _holder(key: str) -> str:
    async with asyncio.timeout(PATIENCE_S):
        value: Any = await get_async_redis().get(lease_key(key))
    return value.decode() if value else ""


def lease_key(key: str) -> str:
    return f"flight:{key}:lease"


def stream_key(key: str, token: str) -> str:
    return f"flight:{key}:{token}"
