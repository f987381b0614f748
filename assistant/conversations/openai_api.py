"""`/v1` for programs, as the official `openai` client speaks it: chat completions, models, embeddings.

Thin: a key is authenticated and counted, the body is read by `inference.serving.wire`, the answer is
made by `completions`. Every error has OpenAI's shape; too much is 429 with Retry-After.
"""

from __future__ import annotations

import array
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from functools import wraps
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from assistant.accounts import api_keys
from assistant.accounts.errors import NotAuthenticated
from assistant.accounts.models import ApiKey
from assistant.accounts.rate_limits import RateLimited
from assistant.conversations import completions
from assistant.conversations.completions import Retracted
from assistant.conversations.database import in_database
from assistant.conversations.engine import get_embedder, get_engine
from inference.serving import wire
from inference.serving.client import EngineError, EngineOverloaded, EngineRefused
from inference.serving.pieces import Finished, Token
from inference.serving.wire import Refused, Renderer

View = Callable[[HttpRequest, ApiKey], Awaitable[HttpResponseBase]]
OpenView = Callable[[HttpRequest], Coroutine[Any, Any, HttpResponseBase]]
Pieces = AsyncGenerator[Token | Retracted | Finished, None]
DEFAULT_MODELS = {"", "default", "parley"}


def for_programs(method: str) -> Callable[[View], OpenView]:
    """A view that wants a bearer key, and whose refusals become OpenAI's errors."""

    def decorate(view: View) -> OpenView:
        @csrf_exempt
        @wraps(view)
        async def wrapped(request: HttpRequest) -> HttpResponseBase:
            try:
                if request.method != method:
                    raise Refused(f"{request.method} is not served here: use {method}.", status=405)
                return await view(request, await in_database(_authenticate, request))
            except Refused as error:
                return render_error(error)
            except EngineError as error:
                return render_error(to_refused(error))

        return wrapped

    return decorate


def _authenticate(request: HttpRequest) -> ApiKey:
    scheme, _space, text = request.headers.get("Authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer":
            raise NotAuthenticated("Send an API key as `Authorization: Bearer pk_…`.")
        key = api_keys.authenticate(text.strip())
        api_keys.take_request(key)
    except NotAuthenticated as error:
        raise Refused(str(error), status=401, code="invalid_api_key") from None
    except RateLimited as error:
        raise Refused(
            str(error), status=429, code="rate_limit_exceeded", retry_after_s=error.retry_after_s
        ) from None
    return key


def render_error(error: Refused) -> HttpResponse:
    response = JsonResponse(error.body(), status=error.status)
    if error.retry_after_s is not None:
        response["Retry-After"] = str(math.ceil(error.retry_after_s))
    return response


def to_refused(error: EngineError) -> Refused:
    if isinstance(error, EngineOverloaded):
        return Refused(str(error), status=429, code="overloaded", retry_after_s=error.retry_after_s)
    if isinstance(error, EngineRefused):
        return Refused(str(error), code=error.code)
    return Refused("the engine is away: try again.", status=503, code="engine_unavailable", retry_after_s=5)


def _body(request: HttpRequest) -> bytes:
    try:
        return request.body
    except RequestDataTooBig:
        raise Refused("the body is larger than 1 MiB: send less.", status=413, code="too_large") from None


# ---- chat --------------------------------------------------------------------------------------


@for_programs("POST")
async def chat_completions(request: HttpRequest, key: ApiKey) -> HttpResponseBase:
    call = wire.parse_chat(_body(request))
    model = await _served_model(call.model)
    turn = await in_database(completions.begin, key, call)
    renderer = Renderer(f"chatcmpl-{turn.pk.hex}", model, call.include_usage)
    pieces = completions.run(turn)
    if not call.is_stream:
        return await _whole(renderer, pieces)
    # Refusals come before the first piece, while the status can still say so.
    first = await anext(pieces)
    response = StreamingHttpResponse(_stream(renderer, first, pieces), content_type="text/event-stream")
    response["Cache-Control"] = "no-cache"
    response["X-Accel-Buffering"] = "no"
    return response


async def _whole(renderer: Renderer, pieces: Pieces) -> HttpResponse:
    text = ""
    async with aclosing(pieces):
        async for piece in pieces:
            if isinstance(piece, Token):
                text += piece.text
            elif isinstance(piece, Retracted):
                text = piece.text
            else:
                return JsonResponse(renderer.whole(text, piece), json_dumps_params={"ensure_ascii": False})
    raise Refused("the answer was not finished: ask again.", status=503, code="interrupted")


async def _stream(
    renderer: Renderer, first: Token | Retracted | Finished, pieces: Pieces
) -> AsyncGenerator[bytes, None]:
    """A retraction cannot be taken out of a stream: it ends with the reason `content_filter`."""
    async with aclosing(pieces):
        yield renderer.opening()
        try:
            piece: Token | Retracted | Finished = first
            while True:
                if isinstance(piece, Token | Finished):
                    yield renderer.chunk(piece)
                if isinstance(piece, Finished):
                    return
                piece = await anext(pieces)
        except Refused as error:
            yield wire.to_event(error.body())


# ---- models and embeddings ---------------------------------------------------------------------


@for_programs("GET")
async def models(request: HttpRequest, key: ApiKey) -> HttpResponse:
    return JsonResponse({"object": "list", "data": await _models()})


async def _models() -> list[dict[str, Any]]:
    """The chat model first, then what embeds; each once."""
    listed = await get_engine().models()
    if get_embedder() is not get_engine():
        listed += await get_embedder().models()
    return list({model["id"]: model for model in listed}.values())


async def _served_model(asked: str | None) -> str:
    served = await _models()
    if asked is None or asked in DEFAULT_MODELS:
        return str(served[0]["id"]) if served else ""
    if asked not in {model["id"] for model in served}:
        names = ", ".join(str(model["id"]) for model in served)
        raise Refused(
            f"the model {asked!r:.80} is not served: use {names}.",
            status=404,
            code="model_not_found",
            param="model",
        )
    return asked


@for_programs("POST")
async def embeddings(request: HttpRequest, key: ApiKey) -> HttpResponse:
    call = wire.parse_embeddings(_body(request))
    vectors = await get_embedder().embed(call.texts)
    rows = [array.array("f", vector).tobytes() for vector in vectors] if call.is_base64 else vectors
    served = await get_embedder().models()
    # The engine's count does not come with the vectors; four characters a token is its rule of thumb.
    num_tokens = sum(len(text) // 4 + 1 for text in call.texts)
    return JsonResponse(wire.render_embeddings(rows, model=str(served[-1]["id"]), num_tokens=num_tokens))
