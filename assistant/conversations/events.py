"""The event log: one Valkey stream for each conversation, read from a cursor, never by time.

An event's id in the stream is its cursor, `epoch-seq`: Valkey itself refuses an id that is not higher
than the last, so two writers can never both extend a history. Each epoch (one generation of an answer)
has one writer and counts from 1; its first event says which event came before it. So a reader can tell
"nothing is missing" from "history was lost", and then asks the database, which keeps the truth.
Texts in here are redacted. Knows neither models nor sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from channels.layers import get_channel_layer
from redis import RedisError

from assistant.redis import get_async_redis, get_redis

KEPT_EPOCHS = 4
KEPT_S = 24 * 3600
TIMEOUT_S = 2.0
MAX_READ = 64
# For a reader, not for a client: everything before it must be fetched from the database again.
RESYNC = "resync"


class LogUnavailable(Exception):
    """Valkey does not answer, or answers too slowly."""


class HistoryLost(Exception):
    """The log does not end where its writer left it: start a new epoch."""


@dataclass(frozen=True, order=True)
class Cursor:
    epoch: int = 0
    seq: int = 0

    @classmethod
    def of(cls, stream_id: bytes | str) -> Cursor:
        text = stream_id.decode() if isinstance(stream_id, bytes) else stream_id
        epoch, seq = text.split("-")
        return cls(int(epoch), int(seq))

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"

    def as_json(self) -> dict[str, int]:
        return {"epoch": self.epoch, "seq": self.seq}


@dataclass(frozen=True)
class Event:
    """`previous` is told by the first event of an epoch only: the event before it in the log."""

    cursor: Cursor
    body: dict[str, Any]
    previous: Cursor | None = None

    def follows(self, cursor: Cursor) -> bool:
        """Whether nothing lies between `cursor` and this event."""
        if self.cursor.seq == 1:
            return self.previous == cursor or (self.cursor.epoch, 0) == (cursor.epoch, cursor.seq)
        return self.cursor.epoch == cursor.epoch and self.cursor.seq == cursor.seq + 1


# KEYS[1] the stream; ARGV: epoch, first seq (0: after the last one of this epoch), seconds, bodies…
_APPEND = (
    """
local epoch, seq = tonumber(ARGV[1]), tonumber(ARGV[2])
local last_epoch, last_seq = 0, 0
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if last[1] then
  local e, s = string.match(last[1][1], '(%d+)-(%d+)')
  last_epoch, last_seq = tonumber(e), tonumber(s)
end
if seq == 0 then
  if last_epoch ~= epoch then return redis.error_reply('LOST') end
  seq = last_seq + 1
elseif seq == 1 then
  if last_epoch >= epoch then return redis.error_reply('LOST') end
elseif last_epoch ~= epoch or last_seq ~= seq - 1 then
  return redis.error_reply('LOST')
end
for i = 4, #ARGV do
  local id = epoch .. '-' .. seq
  if seq == 1 then
    redis.call('XADD', KEYS[1], id, 'b', ARGV[i], 'p', last_epoch .. '-' .. last_seq)
  else
    redis.call('XADD', KEYS[1], id, 'b', ARGV[i])
  end
  seq = seq + 1
end
if tonumber(ARGV[2]) == 1 then
  local oldest = epoch - """
    + str(KEPT_EPOCHS)
    + """
  if oldest > 0 then redis.call('XTRIM', KEYS[1], 'MINID', oldest .. '-0') end
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return seq - 1
"""
)


async def append(conversation_id: str, cursor: Cursor, bodies: Sequence[dict[str, Any]]) -> None:
    """Write events at `cursor`, `cursor` + 1 … Raises HistoryLost or LogUnavailable; then all or none
    of them were written, and which is unknown: go on in a new epoch."""
    await _append(conversation_id, cursor.epoch, cursor.seq, bodies)


async def append_to_end(conversation_id: str, *, epoch: int, body: dict[str, Any]) -> Cursor:
    """Write one event after a finished turn, unless a newer epoch has begun. Raises as `append`."""
    return Cursor(epoch, await _append(conversation_id, epoch, 0, [body]))


async def _append(conversation_id: str, epoch: int, seq: int, bodies: Sequence[dict[str, Any]]) -> int:
    packed = [json.dumps(body, ensure_ascii=False, separators=(",", ":")) for body in bodies]
    async with _guarded():
        last = await get_async_redis().eval(  # type: ignore[misc]
            _APPEND, 1, key_of(conversation_id), str(epoch), str(seq), str(KEPT_S), *packed
        )
    await wake(conversation_id)
    return int(last)


async def read(conversation_id: str, cursor: Cursor, *, limit: int = MAX_READ) -> tuple[bool, list[Event]]:
    """(whether the event at `cursor` is still in the log, the events after it). Raises LogUnavailable."""
    async with _guarded():
        start = str(cursor) if cursor.epoch else "-"
        rows = await get_async_redis().xrange(key_of(conversation_id), start, "+", count=limit + 1)
    events = [_parse(row) for row in rows]
    if events and events[0].cursor == cursor:
        return True, events[1:]
    return False, events[:limit]


def forget(conversation_id: str) -> None:
    """Delete the log of a deleted conversation; from threads. Without Valkey it expires by itself."""
    with contextlib.suppress(RedisError):
        get_redis().delete(key_of(conversation_id))


async def ping() -> bool:
    try:
        async with _guarded():
            await get_async_redis().ping()
    except LogUnavailable:
        return False
    return True


async def wake(conversation_id: str) -> None:
    """Tell whoever follows that there is something to read. May be lost: readers also look by themselves."""
    layer = get_channel_layer()
    assert layer is not None
    with contextlib.suppress(RedisError, OSError, TimeoutError):
        async with asyncio.timeout(TIMEOUT_S):
            await layer.group_send(group_of(conversation_id), {"type": "events"})


def key_of(conversation_id: str) -> str:
    return f"ev:{conversation_id}"


def group_of(conversation_id: str) -> str:
    return f"conversation.{conversation_id}"


def _parse(row: tuple[bytes, dict[bytes, bytes]]) -> Event:
    stream_id, fields = row
    previous = Cursor.of(fields[b"p"]) if b"p" in fields else None
    return Event(Cursor.of(stream_id), json.loads(fields[b"b"]), previous)


@contextlib.asynccontextmanager
async def _guarded() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            yield
    except RedisError as error:
        if "LOST" in str(error):
            raise HistoryLost("the log does not end where its writer left it.") from None
        raise LogUnavailable(f"Valkey: {type(error).__name__}: {error}") from error
    except (TimeoutError, OSError) as error:
        raise LogUnavailable(f"Valkey did not answer in {TIMEOUT_S:g} s ({error!r}).") from error
