"""The client against a real foreign upstream: llama-cpp-python's server.

Set LLAMA_CPP_PYTHON to an interpreter that has `llama-cpp-python[server]`; skipped without one.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from inference.serving.catalogue import find
from inference.serving.client import (
    ChatRequest,
    EngineClient,
    EngineUnavailable,
    Finished,
    Token,
)
from inference.serving.download import fetch_model
from tests.support.scripted_engine import free_port

MODELS_DIR = Path(__file__).resolve().parents[3] / "var" / "models"
PYTHON = os.environ.get("LLAMA_CPP_PYTHON", sys.executable)


def has_server() -> bool:
    probe = subprocess.run([PYTHON, "-c", "import llama_cpp.server"], capture_output=True)
    return probe.returncode == 0


pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(
        not has_server(), reason="llama-cpp-python[server] is not there: set LLAMA_CPP_PYTHON"
    ),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A llama.cpp server with the smallest model and a context of 512 tokens."""
    (model,) = fetch_model(find("smollm2-135m-instruct"), MODELS_DIR, lambda *_: None)
    port = free_port()
    argv = [PYTHON, "-m", "llama_cpp.server", "--model", str(model), "--n_ctx", "512", "--port", str(port)]
    process = subprocess.Popen(
        [*argv, "--n_threads", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    root = f"http://127.0.0.1:{port}/v1"
    try:
        for _ in range(300):
            try:
                httpx.get(f"{root}/models").raise_for_status()
                break
            except httpx.HTTPError:
                assert process.poll() is None, "the server ended"
                time.sleep(0.1)
        yield root
    finally:
        process.kill()
        process.wait()


def ask(text: str, max_tokens: int = 8) -> ChatRequest:
    return ChatRequest([{"role": "user", "content": text}], max_tokens=max_tokens, temperature=0.0, seed=1)


async def test_it_streams_and_ends(address: str) -> None:
    pieces = [piece async for piece in EngineClient(address).chat(ask("Say hello."))]
    assert "".join(piece.text for piece in pieces if isinstance(piece, Token))
    assert isinstance(pieces[-1], Finished)
    assert pieces[-1].reason in ("stop", "length")


async def test_the_limit_on_tokens_is_kept(address: str) -> None:
    pieces = [piece async for piece in EngineClient(address).chat(ask("Tell a long story.", max_tokens=5))]
    assert isinstance(pieces[-1], Finished) and pieces[-1].reason == "length"
    assert 0 < sum(isinstance(piece, Token) for piece in pieces) <= 5


async def test_a_stop_string_is_obeyed(address: str) -> None:
    request = ChatRequest(
        ask("Count from 1 to 9: 1, 2, 3,").messages, max_tokens=40, stop=(",",), temperature=0.0
    )
    text = "".join([p.text async for p in EngineClient(address).chat(request) if isinstance(p, Token)])
    assert "," not in text


async def test_closing_early_leaves_the_server_ready_for_the_next(address: str) -> None:
    client = EngineClient(address)
    stream = client.chat(ask("Tell a long story.", max_tokens=200))
    await anext(stream)
    await stream.aclose()
    start = time.monotonic()
    pieces = [piece async for piece in client.chat(ask("Say hello."))]
    assert isinstance(pieces[-1], Finished)
    assert time.monotonic() - start < 10


async def test_a_prompt_too_long_is_an_error_and_not_an_empty_answer(address: str) -> None:
    """This server answers 200 and closes the stream without a chunk."""
    with pytest.raises(EngineUnavailable, match="too long"):
        async for _ in EngineClient(address).chat(ask("word " * 2000)):
            pass


async def test_health_and_models(address: str) -> None:
    client = EngineClient(address)
    assert len(await client.models()) == 1
    assert (await client.health())["ready"] is True
