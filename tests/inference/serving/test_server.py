"""The engine process itself, as the supervisor starts it, on a tiny model."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from inference.serving.client import ChatRequest, EngineClient, EngineUnavailable, Finished, Token
from inference.serving.folders import ModelFolder
from tests.support.scripted_engine import ROOT

LONG = ChatRequest(messages=[{"role": "user", "content": "hello"}], max_tokens=450)


def start(*arguments: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "inference.serving.server", "--threads", "1", *arguments]
    return subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE)


def wait_until_ready(process: subprocess.Popen[bytes], path: Path) -> None:
    transport = httpx.HTTPTransport(uds=str(path))
    with httpx.Client(transport=transport, base_url="http://engine") as http:
        while process.poll() is None:
            try:
                if http.get("/health/ready").status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
    assert process.stderr is not None
    raise AssertionError(process.stderr.read().decode())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "e.sock"


@pytest.fixture
def process(tiny_model: ModelFolder, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    started = start("--model-dir", str(tiny_model.path), "--socket", str(path), "--max-streams", "1")
    try:
        wait_until_ready(started, path)
        yield started
    finally:
        started.kill()
        started.wait()


async def test_it_chats_embeds_and_is_closed_to_other_users(
    process: subprocess.Popen[bytes], path: Path
) -> None:
    client = EngineClient(f"unix:{path}")
    pieces = [piece async for piece in client.chat(LONG)]
    assert any(isinstance(piece, Token) for piece in pieces)
    assert isinstance(pieces[-1], Finished)
    vectors = await client.embed(["bread", "reset password"])
    assert sum(value * value for value in vectors[0]) == pytest.approx(1, abs=1e-3)
    assert (await client.models())[0]["context_length"] == 512
    assert os.stat(path).st_mode & 0o077 == 0


async def test_sigterm_ends_open_answers_and_exits_in_time(
    process: subprocess.Popen[bytes], path: Path
) -> None:
    async def read() -> object:
        last = None
        try:
            async for piece in EngineClient(f"unix:{path}").chat(LONG):
                last = piece
        except EngineUnavailable as error:
            return error
        return last

    readers = [asyncio.create_task(read()) for _ in range(30)]
    client = EngineClient(f"unix:{path}")
    for _ in range(200):
        if (await client.health())["waiting"] > len(readers) // 2:
            break
        await asyncio.sleep(0.02)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    outcomes = await asyncio.gather(*readers)
    status = await asyncio.to_thread(process.wait, 10)
    assert time.monotonic() - started < 5
    assert {type(outcome) for outcome in outcomes} == {Finished, EngineUnavailable}
    assert status == 0
    assert path.name not in os.listdir(path.parent)


def test_a_second_engine_at_the_same_socket_is_refused(
    process: subprocess.Popen[bytes], tiny_model: ModelFolder, path: Path
) -> None:
    second = start("--model-dir", str(tiny_model.path), "--socket", str(path))
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 1
    assert b"stop it first" in errors
    assert process.poll() is None


def test_a_stale_socket_file_is_replaced(tiny_model: ModelFolder, path: Path) -> None:
    first = start("--embeddings-only", "--models-dir", str(tiny_model.path.parent), "--socket", str(path))
    wait_until_ready(first, path)
    first.kill()
    first.wait()
    assert path.exists()
    second = start("--embeddings-only", "--models-dir", str(tiny_model.path.parent), "--socket", str(path))
    try:
        wait_until_ready(second, path)
        assert len(EngineClient(f"unix:{path}").embed_sync(["bread"])) == 1
    finally:
        second.kill()
        second.wait()


def test_a_folder_that_was_not_prepared_is_one_clear_line(tmp_path: Path, path: Path) -> None:
    process = start("--model-dir", str(tmp_path), "--socket", str(path))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"inference.serving.prepare" in errors
    assert b"Traceback" not in errors
