"""What a client may say over the socket, typed. docs/protocol.md is the contract; other keys are ignored."""

from __future__ import annotations

import json
import uuid
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from assistant.conversations.errors import Refused, TooLarge

MAX_FRAME_BYTES = 64 * 1024


class BadFrame(Refused):
    """Not a frame of this protocol."""

    code = "bad_frame"


class _Frame(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class At(_Frame):
    epoch: int = Field(ge=0, lt=2**31)
    seq: int = Field(ge=0, lt=2**31)


class Hello(_Frame):
    type: Literal["hello"]
    conversation: uuid.UUID | None = None
    cursor: At | None = None
    site: str | None = Field(None, max_length=50)
    token: str | None = Field(None, max_length=4096)
    scenario: str | None = Field(None, max_length=40)
    locale: str | None = Field(None, max_length=16)


class Ask(_Frame):
    type: Literal["ask"]
    client_id: uuid.UUID
    text: str
    parent: uuid.UUID | None = None


class Stop(_Frame):
    type: Literal["stop"]
    turn: uuid.UUID


class Regenerate(_Frame):
    type: Literal["regenerate"]
    message: uuid.UUID
    client_id: uuid.UUID


class Edit(_Frame):
    type: Literal["edit"]
    message: uuid.UUID
    text: str
    client_id: uuid.UUID


class Select(_Frame):
    type: Literal["select"]
    message: uuid.UUID


class Feedback(_Frame):
    type: Literal["feedback"]
    message: uuid.UUID
    value: Literal[-1, 0, 1]
    reason: str = Field("", max_length=2000)


class Handoff(_Frame):
    type: Literal["handoff"]
    email: str = Field("", max_length=254)
    client_id: uuid.UUID


class Ack(At):
    type: Literal["ack"]


class Ping(_Frame):
    type: Literal["ping"]


Command = Ask | Stop | Regenerate | Edit | Select | Feedback | Handoff
ClientFrame = Hello | Command | Ack | Ping
_ADAPTER: TypeAdapter[ClientFrame] = TypeAdapter(Annotated[ClientFrame, Field(discriminator="type")])


def parse(text: str) -> ClientFrame:
    """The frame in a text message. Raises BadFrame, TooLarge."""
    if len(text) > MAX_FRAME_BYTES:
        raise TooLarge(f"The frame has {len(text)} characters, {MAX_FRAME_BYTES} at most are read.")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise BadFrame("The frame is no JSON, or is nested too deeply. Send one JSON object.") from None
    try:
        return _ADAPTER.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "frame"
        raise BadFrame(f"{where}: {first['msg']}. See docs/protocol.md.") from None
