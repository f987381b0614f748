"""What a client may say over the socket, typed. docs/protocol.md is the contract; other keys are ignored."""

from __future__ import annotations

import json
import uuid
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from assistant.conversations.errors import Refused, TooLarge

MAX_FRAME_BYTES = 64 * 1024
# PostgreSQL keeps no NUL in a text.
Word = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]


Name = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", min_length=1, max_length=40)]
Value = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=200)]
Finite = Annotated[float, Field(allow_inf_nan=False)]  # JSON has no other numbers, and neither has PostgreSQL
Attributes = dict[Name, Value | bool | int | Finite | None]


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
    site: Word | None = Field(None, max_length=50)
    token: Word | None = Field(None, max_length=4096)
    scenario: Word | None = Field(None, max_length=40)
    locale: Word | None = Field(None, max_length=16)
    attributes: Attributes = Field(default_factory=dict, max_length=20)


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
    reason: Word = Field("", max_length=2000)


class Handoff(_Frame):
    type: Literal["handoff"]
    email: Word = Field("", max_length=254)
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
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # a lone surrogate cannot be encoded: a ValueError as well
        raise BadFrame(
            "The frame is no JSON, is nested too deeply, or holds half a character. Send one JSON object."
        ) from None
    try:
        return _ADAPTER.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "frame"
        raise BadFrame(f"{where}: {first['msg']}. See docs/protocol.md.") from None
