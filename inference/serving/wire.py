"""The OpenAI protocol's shapes: a request body becomes a typed call, pieces become chunks.

Knows JSON and the protocol, neither the engine nor HTTP. What the engine cannot do is refused aloud
instead of being ignored; `Refused` is the one error and renders itself in OpenAI's shape. The
extension fields (`salt`, `continue_final_message`, `repetition_penalty`, the `parley` object in
chunks) are described in docs/serving.md.
"""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from inference.serving.pieces import Finished, Queued, Token, Usage

MAX_BODY_BYTES = 1024 * 1024
MAX_STOPS = 16
MAX_STOP_CHARS = 256
MAX_TEXTS = 2048
ROLES = {"system", "developer", "user", "assistant", "tool"}


class Refused(Exception):
    """A request that gets an error answer: HTTP status, OpenAI code and a message with the remedy."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str = "invalid_request",
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.retry_after_s = status, code, param, retry_after_s

    def body(self) -> dict[str, Any]:
        kind = {429: "rate_limit_error"}.get(self.status)
        kind = kind or ("server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}


@dataclass(frozen=True)
class ChatCall:
    """One chat completion, validated. Times are not limited here; tokens are by the backend."""

    messages: tuple[dict[str, str], ...]
    model: str | None = None
    max_tokens: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    salt: str = ""
    repetition_penalty: float = 1.0
    continue_final_message: bool = False
    is_stream: bool = False
    include_usage: bool = False


@dataclass(frozen=True)
class EmbeddingCall:
    texts: tuple[str, ...]
    model: str | None = None
    is_base64: bool = False


# ---- reading a request -------------------------------------------------------------------------


def read_json(body: bytes) -> dict[str, Any]:
    """The body as an object. NaN and Infinity are no JSON; deep nesting is no request."""

    def refuse_constant(name: str) -> NoReturn:
        raise Refused(f"the body has the number {name}, which JSON does not know: write a finite number.")

    try:
        value = json.loads(body, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Refused(f"the body is not JSON ({error}): send one JSON object in UTF-8.") from None
    if not isinstance(value, dict):
        raise Refused(f"the body is a {type(value).__name__}: send one JSON object.")
    return value


def read_number(
    data: dict[str, Any], name: str, default: float, low: float, high: float, *, is_open: bool = False
) -> float:
    value = data.get(name)
    if value is None:
        return default
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not low <= value <= high or (is_open and value == low):
        border = "above" if is_open else "from"
        raise Refused(f"{name} is {value!r}: write a number {border} {low:g} to {high:g}.", param=name)
    return float(value)


def read_whole(data: dict[str, Any], name: str, low: int, high: int) -> int | None:
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Refused(f"{name} is {value!r}: write a whole number from {low} to {high}.", param=name)
    return value


def read_flag(data: dict[str, Any], name: str) -> bool:
    value = data.get(name)
    if value is not None and not isinstance(value, bool):
        raise Refused(f"{name} is {value!r}: write true or false.", param=name)
    return bool(value)


def read_text(value: Any, param: str, max_chars: int = MAX_BODY_BYTES) -> str:
    if not isinstance(value, str) or len(value) > max_chars:
        seen = f"{len(value)} characters" if isinstance(value, str) else type(value).__name__
        raise Refused(f"{param} is {seen}: write text of at most {max_chars} characters.", param=param)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Refused(
            f"{param} holds half a character (a lone surrogate): send whole ones.", param=param
        ) from None
    return value


def read_optional_text(data: dict[str, Any], name: str, max_chars: int) -> str | None:
    return None if data.get(name) is None else read_text(data[name], name, max_chars)


def read_message(message: Any, param: str) -> dict[str, str]:
    """One message; a content of several text parts is joined. Other parts are refused: no model here sees."""
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        role = message.get("role") if isinstance(message, dict) else message
        raise Refused(f"{param} has the role {role!r}: use one of {', '.join(sorted(ROLES))}.", param=param)
    content = message.get("content")
    if isinstance(content, list):
        parts = [str(part["text"]) for part in content if isinstance(part, dict) and "text" in part]
        if len(parts) < len(content):
            raise Refused(f"{param} has a part that is not text: this model reads text alone.", param=param)
        content = "".join(parts)
    role = "system" if message["role"] == "developer" else message["role"]
    return {"role": role, "content": read_text(content, f"{param}.content")}


def read_stop(data: dict[str, Any]) -> tuple[str, ...]:
    stop = data.get("stop")
    stops = [] if stop is None else [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or len(stops) > MAX_STOPS:
        raise Refused(f"stop is {stop!r:.80}: write a text or a list of up to {MAX_STOPS}.", param="stop")
    return tuple(text for text in (read_text(item, "stop", MAX_STOP_CHARS) for item in stops) if text)


def refuse_unsupported(data: dict[str, Any]) -> None:
    """What would change the answer and cannot be done here must not be passed over in silence."""
    response_format = data.get("response_format")
    wanted = {
        "n": data.get("n") not in (None, 1),
        "logprobs": bool(data.get("logprobs")),
        "tools": bool(data.get("tools")),
        "response_format": response_format is not None and response_format != {"type": "text"},
    }
    for name, is_wanted in wanted.items():
        if is_wanted:
            message = f"{name} is {data[name]!r:.80}: this engine does not support it, leave it out."
            raise Refused(message, code="unsupported_parameter", param=name)


def parse_chat(body: bytes) -> ChatCall:
    """Body of POST /v1/chat/completions → ChatCall. Raises Refused."""
    data = read_json(body)
    refuse_unsupported(data)
    messages = data.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused("messages is empty: send a list with at least one message.", param="messages")
    parsed = tuple(read_message(message, f"messages[{i}]") for i, message in enumerate(messages))
    continues = read_flag(data, "continue_final_message")
    if continues and parsed[-1]["role"] != "assistant":
        raise Refused(
            f"continue_final_message is true but the last message is the {parsed[-1]['role']}'s: "
            "end with the assistant's message that is to be continued.",
            param="continue_final_message",
        )
    options = data.get("stream_options") or {}
    if not isinstance(options, dict):
        raise Refused(f"stream_options is {options!r:.80}: write an object.", param="stream_options")
    max_tokens = read_whole(data, "max_tokens", 1, 1_000_000)
    return ChatCall(
        messages=parsed,
        model=read_optional_text(data, "model", 200),
        max_tokens=max_tokens or read_whole(data, "max_completion_tokens", 1, 1_000_000),
        temperature=read_number(data, "temperature", 0.0, 0.0, 2.0),
        top_p=read_number(data, "top_p", 1.0, 0.0, 1.0, is_open=True),
        seed=read_whole(data, "seed", -(2**63), 2**63 - 1),
        stop=read_stop(data),
        salt=read_optional_text(data, "salt", 200) or "",
        repetition_penalty=read_number(data, "repetition_penalty", 1.0, 0.0, 10.0, is_open=True),
        continue_final_message=continues,
        is_stream=read_flag(data, "stream"),
        include_usage=read_flag(options, "include_usage"),
    )


def parse_embeddings(body: bytes) -> EmbeddingCall:
    """Body of POST /v1/embeddings → EmbeddingCall. Raises Refused."""
    data = read_json(body)
    texts = data.get("input")
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not 0 < len(texts) <= MAX_TEXTS:
        raise Refused(
            f"input is {texts!r:.80}: send a text or a list of 1 to {MAX_TEXTS} texts.", param="input"
        )
    encoding = data.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise Refused(f"encoding_format is {encoding!r}: write float or base64.", param="encoding_format")
    return EmbeddingCall(
        texts=tuple(read_text(text, f"input[{i}]") for i, text in enumerate(texts)),
        model=read_optional_text(data, "model", 200),
        is_base64=encoding == "base64",
    )


# ---- writing an answer -------------------------------------------------------------------------


def render_usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def to_event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Renderer:
    """Renders one answer, whole or in chunks. `id` names it, `model` is what is served."""

    id: str
    model: str
    include_usage: bool = False

    def _envelope(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": int(time.time()), "model": self.model}

    def _chunk(self, delta: dict[str, str], reason: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return to_event(self._envelope("chat.completion.chunk") | {"choices": [choice]} | more)

    def opening(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def chunk(self, piece: Queued | Token | Finished) -> bytes:
        match piece:
            case Queued():
                return self._chunk({}, parley={"queue": asdict(piece)})
            case Token():
                return self._chunk({"content": piece.text})
            case Finished():
                return self._closing(piece)

    def _closing(self, end: Finished) -> bytes:
        closing = self._chunk({}, end.reason, parley=end.timing)
        if self.include_usage:
            envelope = self._envelope("chat.completion.chunk")
            closing += to_event(envelope | {"choices": [], "usage": render_usage(end.usage)})
        return closing + DONE

    def whole(self, text: str, end: Finished) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": end.reason, "logprobs": None}
        body = {"choices": [choice], "usage": render_usage(end.usage), "parley": end.timing}
        return self._envelope("chat.completion") | body


def render_embeddings(
    vectors: Sequence[Sequence[float]] | Sequence[bytes], *, model: str, num_tokens: int
) -> dict[str, Any]:
    """Vectors as lists, or as little-endian float32 bytes, which become base64."""
    rows = [base64.b64encode(row).decode() if isinstance(row, bytes) else list(row) for row in vectors]
    data = [{"object": "embedding", "index": i, "embedding": row} for i, row in enumerate(rows)]
    usage = {"prompt_tokens": num_tokens, "total_tokens": num_tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}
