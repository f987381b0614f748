"""The one client of a language model: the embedded engine over its unix socket, or any OpenAI-compatible
upstream over HTTP. Knows the protocol and its failures, nothing of conversations. Everything in
`assistant` that needs a model gets it through `assistant.conversations.engine`.

Each failure is one of three: EngineUnavailable (nobody answers, or the answer broke off: retry or say
"interrupted"), EngineOverloaded (come back after `retry_after_s`), EngineRefused (this request will
never do).
"""

from __future__ import annotations

import array
import asyncio
import base64
import json
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from inference.serving.pieces import Finished, Piece, Queued, Token, Usage

__all__ = [
    "ChatRequest",
    "EngineClient",
    "EngineError",
    "EngineOverloaded",
    "EngineRefused",
    "EngineUnavailable",
    "Finished",
    "Queued",
    "Token",
    "Usage",
]

MAX_BATCH_TEXTS = 256
MAX_BATCH_BYTES = 512 * 1024


class EngineError(Exception):
    """No answer from the model, or half of one. The message says why."""


class EngineUnavailable(EngineError):
    """Nobody listens, it took too long, or the stream broke off."""


class EngineOverloaded(EngineError):
    """The waiting queue is full. `retry_after_s`: when it makes sense to come back."""

    def __init__(self, message: str, retry_after_s: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class EngineRefused(EngineError):
    """This request will never do. `code`: context_length_exceeded, model_not_found, invalid_request, …"""

    def __init__(self, message: str, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class ChatRequest:
    """`salt` separates tenants in the prefix cache; with `continue_final_message` the last message is the
    assistant's and is continued instead of answered. None means: the upstream's default."""

    messages: Sequence[dict[str, str]]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    salt: str = ""
    model: str | None = None
    continue_final_message: bool = False


@dataclass(frozen=True)
class Timeouts:
    """Seconds. A long prompt on a slow machine takes its time; a stream that is silent is dead."""

    connect_s: float = 2.0
    first_token_s: float = 120.0
    idle_s: float = 30.0
    embed_s: float = 120.0


class EngineClient:
    """`address`: "unix:/path/engine.sock" or an http(s) base URL that ends with /v1.

    is_ours: whether the other side knows our extension fields; by default, a unix socket does.
    """

    def __init__(
        self,
        address: str,
        api_key: str = "",
        *,
        is_ours: bool | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.address = address
        self.is_ours = address.startswith("unix:") if is_ours is None else is_ours
        self.timeouts = timeouts or Timeouts()
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient]
        self._http = weakref.WeakKeyDictionary()
        self._default_model: str | None = None

    # ---- what callers use ----------------------------------------------------------------------

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        """Stream one answer: Queued…, Token…, Finished. Closing the generator stops the model.

        Raises EngineUnavailable, EngineOverloaded or EngineRefused, before or within the stream.
        """
        body = await self._chat_body(request)
        async with self._guarded(), self._client().stream("POST", "/chat/completions", json=body) as response:
            await raise_for_status(response)
            async for piece in self._read_pieces(response):
                yield piece

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text, in order. Raises as `chat` does."""
        vectors: list[list[float]] = []
        for batch in batches(texts):
            async with self._guarded():
                body = self._embedding_body(batch)
                response = await self._client().post("/embeddings", json=body, timeout=self._embed_timeout())
                await raise_for_status(response)
            vectors += read_vectors(response, len(batch))
        return vectors

    def embed_sync(self, texts: Sequence[str]) -> list[list[float]]:
        """`embed` for workers, which have no event loop."""
        vectors: list[list[float]] = []
        with httpx.Client(**self._options(httpx.HTTPTransport)) as client:
            for batch in batches(texts):
                try:
                    body = self._embedding_body(batch)
                    response = client.post("/embeddings", json=body, timeout=self._embed_timeout())
                except httpx.HTTPError as error:
                    raise self._unavailable(error) from error
                if response.is_error:
                    raise to_error(response.status_code, response.headers, response.content)
                vectors += read_vectors(response, len(batch))
        return vectors

    async def models(self) -> list[dict[str, Any]]:
        """What is served; of our engine each entry has `context_length`, the chat model comes first."""
        response = await self._get("/models")
        return list(read_object(response).get("data") or [])

    async def health(self) -> dict[str, Any]:
        """`ready` and, of our engine, its gauges. Raises EngineUnavailable when nobody listens."""
        if not self.is_ours:
            return {"ready": True, "models": [model.get("id") for model in await self.models()]}
        return read_object(await self._get("/health/ready", root=True, is_error_fine=True))

    async def aclose(self) -> None:
        """Close this event loop's connections."""
        client = self._http.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    # ---- requests ------------------------------------------------------------------------------

    async def _chat_body(self, request: ChatRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": request.model or await self._model(),
            "messages": list(request.messages),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        for name in ("max_tokens", "temperature", "top_p", "seed"):
            if getattr(request, name) is not None:
                body[name] = getattr(request, name)
        if request.stop:
            body["stop"] = list(request.stop)
        if self.is_ours:
            body |= {"salt": request.salt, "continue_final_message": request.continue_final_message}
        return body

    async def _model(self) -> str:
        """A foreign upstream must be told a model; the first that it lists is asked for once."""
        if self.is_ours:
            return "default"
        if self._default_model is None:
            models = await self.models()
            if not models:
                raise EngineRefused(f"{self.address} lists no model: load one there.", "model_not_found")
            self._default_model = str(models[0]["id"])
        return self._default_model

    def _embedding_body(self, texts: Sequence[str]) -> dict[str, Any]:
        body: dict[str, Any] = {"input": list(texts), "model": "default"}
        return body | ({"encoding_format": "base64"} if self.is_ours else {})

    async def _get(self, path: str, *, root: bool = False, is_error_fine: bool = False) -> httpx.Response:
        client = self._client()
        url: str | httpx.URL = client.base_url.join(path) if root else path
        async with self._guarded():
            response = await client.get(url, timeout=httpx.Timeout(10, connect=self.timeouts.connect_s))
            if not is_error_fine:
                await raise_for_status(response)
        return response

    # ---- the stream ----------------------------------------------------------------------------

    async def _read_pieces(self, response: httpx.Response) -> AsyncIterator[Piece]:
        """Chunks become pieces. The end is told only when a finish reason and the last chunk were seen."""
        reason, usage, is_empty = "", Usage(), True
        timing: dict[str, Any] = {}
        async for chunk in self._read_chunks(response):
            is_empty = False
            if "error" in chunk:
                raise to_stream_error(chunk["error"])
            extension = chunk.get("parley") or {}
            if queue := extension.get("queue"):
                yield Queued(int(queue["place"]), float(queue["expected_wait_s"]))
            if chunk.get("usage"):
                usage = read_usage(chunk["usage"])
            for choice in chunk.get("choices") or []:
                if text := (choice.get("delta") or {}).get("content"):
                    yield Token(text)
                if choice.get("finish_reason"):
                    reason, timing = choice["finish_reason"], extension
        if not reason:
            # Some upstreams accept a prompt that is too long and then only close the stream.
            why = "sent no answer (is the prompt too long for it?)" if is_empty else "broke off in mid-answer"
            raise EngineUnavailable(f"{self.address} {why}: ask again.")
        yield Finished("length" if reason == "length" else "stop", usage, timing)

    async def _read_chunks(self, response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
        lines = response.aiter_lines()
        limit_s = self.timeouts.first_token_s
        while True:
            try:
                async with asyncio.timeout(limit_s):
                    line = await anext(lines, None)
            except TimeoutError:
                raise EngineUnavailable(f"{self.address} was silent for {limit_s:g} s: ask again.") from None
            if line is None or line.strip() == "data: [DONE]":
                return
            if not line.startswith("data:"):
                continue
            chunk = read_json(line[5:])
            if has_text(chunk):
                limit_s = self.timeouts.idle_s
            yield chunk

    # ---- the connection ------------------------------------------------------------------------

    def _options(self, transport: Any) -> dict[str, Any]:
        """A unix socket's connections are not kept: they cost nothing and outlive no restart."""
        timeout = httpx.Timeout(None, connect=self.timeouts.connect_s)
        common = {"headers": self._headers, "timeout": timeout, "trust_env": False}
        if not self.address.startswith("unix:"):
            return common | {"base_url": self.address, "transport": transport(retries=1)}
        limits = httpx.Limits(max_keepalive_connections=0)
        uds = self.address.removeprefix("unix:")
        no_tls = False  # nothing to verify on a socket file, and loading the certificates takes 20 ms
        return common | {
            "base_url": "http://engine/v1",
            "transport": transport(uds=uds, limits=limits, verify=no_tls),
        }

    def _client(self) -> httpx.AsyncClient:
        """This event loop's client: httpx binds its connections to the loop that opened them."""
        loop = asyncio.get_running_loop()
        if loop not in self._http:
            self._http[loop] = httpx.AsyncClient(**self._options(httpx.AsyncHTTPTransport))
        return self._http[loop]

    def _embed_timeout(self) -> httpx.Timeout:
        return httpx.Timeout(self.timeouts.embed_s, connect=self.timeouts.connect_s)

    def _unavailable(self, error: Exception) -> EngineUnavailable:
        return EngineUnavailable(f"{self.address} does not answer ({type(error).__name__}: {error}).")

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[None]:
        """Whatever the transport raises becomes EngineUnavailable."""
        try:
            yield
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise self._unavailable(error) from error


def batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """Cut into requests that stay under the server's body limit."""
    batch: list[str] = []
    size = 0
    for text in texts:
        cost = len(text.encode(errors="replace")) * 2 + 8  # JSON may double a byte by escaping it
        if batch and (len(batch) == MAX_BATCH_TEXTS or size + cost > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += cost
    if batch:
        yield batch


def read_json(text: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise EngineUnavailable(f"the upstream sent {text[:80]!r}, which is no JSON object.")
    return value


def read_object(response: httpx.Response) -> dict[str, Any]:
    return read_json(response.content)


def has_text(chunk: dict[str, Any]) -> bool:
    return any((choice.get("delta") or {}).get("content") for choice in chunk.get("choices") or [])


def read_usage(data: dict[str, Any]) -> Usage:
    details = data.get("prompt_tokens_details") or {}
    return Usage(
        prompt_tokens=data.get("prompt_tokens") or 0,
        cached_tokens=details.get("cached_tokens") or 0,
        completion_tokens=data.get("completion_tokens") or 0,
    )


def read_vectors(response: httpx.Response, num_texts: int) -> list[list[float]]:
    rows = sorted(read_object(response).get("data") or [], key=lambda row: row.get("index", 0))
    if len(rows) != num_texts:
        raise EngineUnavailable(f"the upstream sent {len(rows)} vectors for {num_texts} texts.")
    return [read_vector(row["embedding"]) for row in rows]


def read_vector(value: str | list[float]) -> list[float]:
    if isinstance(value, str):
        return array.array("f", base64.b64decode(value)).tolist()
    return value


async def raise_for_status(response: httpx.Response) -> None:
    if response.is_error:
        raise to_error(response.status_code, response.headers, await response.aread())


def to_error(status: int, headers: httpx.Headers, body: bytes) -> EngineError:
    """An HTTP error as a typed one, whatever shape the upstream gives its body."""
    detail = read_error(body)
    message = str(detail.get("message") or f"HTTP {status}")
    if status == 429:
        after = headers.get("retry-after", "")
        return EngineOverloaded(message, float(after) if after.replace(".", "", 1).isdigit() else 5.0)
    if status >= 500:
        return EngineUnavailable(message)
    return EngineRefused(message, read_code(detail, status))


def read_error(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except ValueError:
        return {}
    error = data.get("error", data) if isinstance(data, dict) else {}
    return error if isinstance(error, dict) else {"message": str(error)}


def read_code(detail: dict[str, Any], status: int) -> str:
    """Upstreams agree on the words of a prompt that is too long better than on its code."""
    message = str(detail.get("message", "")).lower()
    if any(
        words in message for words in ("context length", "context window", "maximum context", "context size")
    ):
        return "context_length_exceeded"
    by_status = {401: "unauthorized", 403: "unauthorized", 404: "model_not_found", 413: "request_too_large"}
    code = detail.get("code")
    return code if isinstance(code, str) and code else by_status.get(status, "invalid_request")


def to_stream_error(detail: Any) -> EngineError:
    """An error that came in mid-stream: refusals were told before it began, so the engine failed."""
    detail = detail if isinstance(detail, dict) else {"message": str(detail)}
    if detail.get("type") == "invalid_request_error":
        return EngineRefused(str(detail.get("message")), read_code(detail, 400))
    return EngineUnavailable(str(detail.get("message")))
