"""The engine for a run: the one that answers, or one of our own for as long as the run takes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from django.conf import settings

from assistant.conversations.engine import get_embedder, get_engine
from inference.serving.client import EngineClient, EngineError

START_S = 240
STOP_S = 10


class NoEngine(Exception):
    """No model answers and none could be started; the message has the remedy."""


@asynccontextmanager
async def running_engine() -> AsyncIterator[str]:
    """Yields what is used: "running" or "started". Raises NoEngine."""
    if settings.ENGINE_URL and not await _answers(get_engine()):
        raise NoEngine(f"ENGINE_URL={settings.ENGINE_URL} does not answer. Start it, or unset ENGINE_URL.")
    if await _answers(get_embedder()):
        yield "running"
        return
    argv = await _command()
    process = await asyncio.create_subprocess_exec(*argv)
    try:
        await _wait_ready(process)
        yield "started"
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_S)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _command() -> list[str]:
    """How to start it, with the model made ready (by a process of its own: converting imports torch)."""
    prepare = [sys.executable, "-m", "inference.serving.prepare", "--models-dir", str(settings.MODELS_DIR)]
    prepare += ["--quantization", settings.ENV["QUANTIZATION"], "--json"]
    prepare += ["--embedder-only"] if settings.ENGINE_URL else [settings.MODEL]
    process = await asyncio.create_subprocess_exec(*prepare, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    told = _last_object(output.decode())
    if process.returncode != 0:
        raise NoEngine(str(told.get("error") or f"MODEL={settings.MODEL} could not be made ready."))
    serve = [sys.executable, "-m", "inference.serving.server", "--socket", str(settings.ENGINE_SOCKET)]
    serve += ["--models-dir", str(settings.MODELS_DIR)]
    return [*serve, *(["--embeddings-only"] if settings.ENGINE_URL else ["--model-dir", str(told["path"])])]


def _last_object(output: str) -> dict[str, Any]:
    try:
        return dict(json.loads(output.splitlines()[-1]))
    except (IndexError, ValueError):
        return {}


async def _wait_ready(process: asyncio.subprocess.Process) -> None:
    for _ in range(START_S * 5):
        if process.returncode is not None:
            raise NoEngine(f"the engine ended with status {process.returncode}: see its message above.")
        if await _answers(get_embedder()):
            return
        await asyncio.sleep(0.2)
    raise NoEngine(f"the engine was not ready after {START_S} s.")


async def _answers(client: EngineClient) -> bool:
    try:
        return bool((await client.health()).get("ready"))
    except EngineError:
        return False
