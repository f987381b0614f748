"""The engine's HTTP application: OpenAI chat completions and embeddings, health, metrics.

Knows HTTP and the protocol; who produces the text is behind `ChatBackend` and `EmbeddingBackend`. A
client that goes away closes its stream of pieces, which is how a backend learns to cancel. Called by
`server` (the real engine) and by the tests' scripted engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from inference.serving import wire
from inference.serving.metrics import Metrics
from inference.serving.pieces import Finished, Piece, Token
from inference.serving.wire import ChatCall, Refused

log = logging.getLogger(__name__)
DEFAULT_NAMES = {"", "default"}
T = TypeVar("T")


@dataclass(frozen=True)
class ModelCard:
    """What is served. `context_length` counts tokens of prompt and answer together."""

    name: str
    context_length: int
    quantization: str = ""
    dimensions: int | None = None

    def as_json(self) -> dict[str, Any]:
        more = {"dimensions": self.dimensions} if self.dimensions else {"quantization": self.quantization}
        about = {"id": self.name, "object": "model", "created": 0, "owned_by": "parley"}
        return about | {"context_length": self.context_length} | more


class ChatBackend(Protocol):
    card: ModelCard

    async def open(self, call: ChatCall) -> AsyncGenerator[Piece, None]:
        """Accept a request and return its stream, begun already, so that closing it always cancels.

        Raises Refused."""

    def gauges(self) -> Mapping[str, float]: ...


class EmbeddingBackend(Protocol):
    card: ModelCard

    async def embed(self, texts: Sequence[str]) -> tuple[list[bytes], int]:
        """Each text's vector as little-endian float32 bytes, and the number of tokens read."""


class Service:
    """The routes. `is_ready` opens after the warm-up and closes before the process ends."""

    def __init__(self, chat: ChatBackend | None, embeddings: EmbeddingBackend | None) -> None:
        self.chat, self.embeddings = chat, embeddings
        self.is_ready = False
        self.metrics = Metrics(chat.gauges if chat else dict)
        self.cards = [backend.card for backend in (chat, embeddings) if backend is not None]

    async def complete(self, request: Request) -> Response:
        started = time.perf_counter()
        call = wire.parse_chat(await read_body(request))
        backend = self.chat
        if backend is None:
            raise Refused(
                "this process embeds only: send chats to ENGINE_URL.", status=404, code="model_not_found"
            )
        self._check_open()
        check_model(call.model, backend.card)
        opened = await backend.open(call)
        pieces = self.metrics.watch(opened, started=started)
        renderer = wire.Renderer(f"chatcmpl-{uuid.uuid4().hex}", backend.card.name, call.include_usage)
        if call.is_stream:
            return EventResponse(stream_events(pieces, renderer), opened)
        async with contextlib.aclosing(opened):
            text, end = await until_disconnected(request, collect(pieces))
        return JSONResponse(renderer.whole(text, end))

    async def embed(self, request: Request) -> Response:
        call = wire.parse_embeddings(await read_body(request))
        backend = self.embeddings
        if backend is None:
            raise Refused("this process has no embedding model.", status=404, code="model_not_found")
        self._check_open()
        check_model(call.model, backend.card)
        rows, num_tokens = await backend.embed(call.texts)
        self.metrics.texts.inc(len(rows))
        vectors = rows if call.is_base64 else [memoryview(row).cast("f").tolist() for row in rows]
        return JSONResponse(wire.render_embeddings(vectors, model=backend.card.name, num_tokens=num_tokens))

    async def list_models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [card.as_json() for card in self.cards]})

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "alive", "ready": self.is_ready})

    async def ready(self, request: Request) -> Response:
        gauges = dict(self.chat.gauges()) if self.chat else {}
        body = {"ready": self.is_ready, "models": [card.name for card in self.cards], **gauges}
        return JSONResponse(body, status_code=200 if self.is_ready else 503)

    async def show_metrics(self, request: Request) -> Response:
        return Response(self.metrics.render(), media_type="text/plain; version=0.0.4")

    def _check_open(self) -> None:
        if not self.is_ready:
            message = "the engine is starting or stopping: try again in a few seconds."
            raise Refused(message, status=503, code="not_ready", retry_after_s=2)

    def routes(self) -> list[Route]:
        return [
            Route("/v1/chat/completions", self.complete, methods=["POST"]),
            Route("/v1/embeddings", self.embed, methods=["POST"]),
            Route("/v1/models", self.list_models),
            Route("/health", self.health),
            Route("/health/ready", self.ready),
            Route("/metrics", self.show_metrics),
        ]


def build_app(service: Service, extra_routes: Sequence[Route] = ()) -> Starlette:
    handlers: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {
        Refused: on_refused,
        HTTPException: on_http_error,
        ClientDisconnect: on_gone,
        Exception: on_failure,
    }
    return Starlette(routes=[*service.routes(), *extra_routes], exception_handlers=handlers)


async def read_body(request: Request) -> bytes:
    """The body, at most MAX_BODY_BYTES of it in memory whatever Content-Length claims."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > wire.MAX_BODY_BYTES:
            message = f"the body is larger than {wire.MAX_BODY_BYTES} bytes: shorten the messages."
            raise Refused(message, status=413, code="request_too_large")
    return bytes(body)


def check_model(asked: str | None, card: ModelCard) -> None:
    if asked is not None and asked not in DEFAULT_NAMES and asked != card.name:
        message = f"the model {asked!r} is not served here: leave model out or write {card.name!r}."
        raise Refused(message, status=404, code="model_not_found", param="model")


class EventResponse(StreamingResponse):
    """Server-sent events. Closes the backend's stream whatever happens, even before the first byte."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None], opened: AsyncGenerator[Piece, None]) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store"})
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._opened.aclose()


async def stream_events(
    pieces: AsyncGenerator[Piece, None], renderer: wire.Renderer
) -> AsyncGenerator[bytes, None]:
    async with contextlib.aclosing(pieces):
        yield renderer.opening()
        try:
            async for piece in pieces:
                yield renderer.chunk(piece)
        except Refused as error:
            yield wire.to_event(error.body())
        except Exception:
            log.exception("the stream %s failed", renderer.id)
            yield wire.to_event(
                Refused("the engine failed: try again.", status=500, code="engine_failed").body()
            )


async def collect(pieces: AsyncGenerator[Piece, None]) -> tuple[str, Finished]:
    text = ""
    async with contextlib.aclosing(pieces):
        async for piece in pieces:
            if isinstance(piece, Token):
                text += piece.text
            elif isinstance(piece, Finished):
                return text, piece
    raise Refused("the engine gave no end of the answer: try again.", status=500, code="engine_failed")


async def until_disconnected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do the work, but give it up when the client goes away: its slot belongs to somebody who waits."""

    async def wait_for_end() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(wait_for_end())
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        for future in (task, gone):
            future.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def on_refused(request: Request, error: Refused) -> Response:
    after = error.retry_after_s
    headers = {} if after is None else {"Retry-After": str(max(1, math.ceil(after)))}
    return JSONResponse(error.body(), status_code=error.status, headers=headers)


async def on_http_error(request: Request, error: HTTPException) -> Response:
    message = f"{request.method} {request.url.path}: {error.detail}"
    return JSONResponse(Refused(message, status=error.status_code).body(), status_code=error.status_code)


async def on_gone(request: Request, error: ClientDisconnect) -> Response:
    return Response(status_code=499)


async def on_failure(request: Request, error: Exception) -> Response:
    refusal = Refused("the engine failed: try again.", status=500, code="engine_failed")
    return JSONResponse(refusal.body(), status_code=500)
