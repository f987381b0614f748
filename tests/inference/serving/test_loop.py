"""The loop on the real engine with a tiny model of random weights."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from inference.engine import Engine, EngineConfig
from inference.serving.folders import ModelFolder
from inference.serving.loop import EngineLoop
from inference.serving.pieces import Finished, Piece, Token
from inference.serving.text import ChatText
from inference.serving.wire import ChatCall, Refused
from tests.inference.serving.test_client import eventually


@pytest.fixture
async def loop(tiny_model: ModelFolder) -> AsyncIterator[EngineLoop]:
    config = EngineConfig(max_streams=2, max_context=512, kv_tokens=4096, num_threads=1, quantization="bf16")
    engine = Engine.load(tiny_model.path, config)
    chat = EngineLoop(engine, ChatText(tiny_model.path), name="tiny", quantization="bf16", max_waiting=8)
    chat.start()
    yield chat
    chat.close()


def call(text: str = "hello", **fields: Any) -> ChatCall:
    return ChatCall(messages=({"role": "user", "content": text},), **({"max_tokens": 12} | fields))


async def read(loop: EngineLoop, request: ChatCall) -> list[Piece]:
    return [piece async for piece in await loop.open(request)]


def text_of(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Token))


def end_of(pieces: list[Piece]) -> Finished:
    assert isinstance(pieces[-1], Finished)
    return pieces[-1]


async def test_an_answer_ends_with_usage_and_timing(loop: EngineLoop) -> None:
    end = end_of(await read(loop, call()))
    assert (end.reason, end.usage.completion_tokens) == ("length", 12)
    assert end.usage.prompt_tokens == len(loop.text.encode_chat(call().messages))
    assert end.timing["model"] == "tiny"
    assert end.timing["ttft_ms"] >= end.timing["queued_ms"]


async def test_more_requests_than_slots_all_get_the_same_greedy_answer(loop: EngineLoop) -> None:
    alone = text_of(await read(loop, call()))
    answers = await asyncio.gather(*(read(loop, call()) for _ in range(6)))
    assert {text_of(pieces) for pieces in answers} == {alone}


async def test_a_stop_string_ends_the_sequence_and_is_not_shown(loop: EngineLoop) -> None:
    whole = text_of(await read(loop, call(max_tokens=60)))
    assert len(whole) > 4
    stop = whole[2:4]
    pieces = await read(loop, call(max_tokens=60, stop=(stop,)))
    assert text_of(pieces) == whole[: whole.index(stop)]
    assert end_of(pieces).reason == "stop"
    assert end_of(pieces).usage.completion_tokens < 60
    assert await eventually(lambda: not loop.engine.has_work)


async def test_closing_a_stream_frees_its_slot_in_the_engine(loop: EngineLoop) -> None:
    stream = await loop.open(call(max_tokens=400))
    await anext(stream)
    await stream.aclose()
    assert await eventually(lambda: not loop.engine.has_work)
    assert loop.engine.stats()["completion_tokens"] < 400
    assert loop.admission.num_running == 0


async def test_closing_a_stream_that_was_never_read_frees_its_place(loop: EngineLoop) -> None:
    streams = [await loop.open(call()) for _ in range(5)]
    for stream in streams:
        await stream.aclose()
    assert (loop.admission.num_running, loop.admission.num_waiting) == (0, 0)


async def test_a_prompt_too_long_is_refused_before_it_waits(loop: EngineLoop) -> None:
    with pytest.raises(Refused) as caught:
        await loop.open(call("x" * 600))
    assert caught.value.code == "context_length_exceeded"
    assert loop.admission.num_running == 0


async def test_the_answer_is_cut_to_the_room_that_the_prompt_leaves(loop: EngineLoop) -> None:
    pieces = await read(loop, call("x" * 440, max_tokens=10_000))
    usage = end_of(pieces).usage
    assert usage.prompt_tokens + usage.completion_tokens <= 512


async def test_a_failed_step_fails_every_open_request_and_the_next_one_works(
    loop: EngineLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, calls = loop.engine.step, iter(range(100))

    def fail_once() -> Any:
        if next(calls) == 3:
            raise RuntimeError("out of memory")
        return step()

    monkeypatch.setattr(loop.engine, "step", fail_once)
    outcomes = await asyncio.gather(
        *(read(loop, call(max_tokens=100)) for _ in range(2)), return_exceptions=True
    )
    assert [getattr(outcome, "code", None) for outcome in outcomes] == ["engine_failed"] * 2
    assert end_of(await read(loop, call())).reason == "length"


async def test_a_fault_between_steps_fails_the_request_instead_of_leaving_it(
    loop: EngineLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(request: object) -> None:
        raise RuntimeError("unforeseen")

    with monkeypatch.context() as patch:
        patch.setattr(loop.engine, "submit", fail)
        with pytest.raises(Refused, match="failed"):
            await asyncio.wait_for(read(loop, call()), 5)
    assert end_of(await read(loop, call())).reason == "length"


async def test_steps_that_keep_failing_end_the_process(
    loop: EngineLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Any:
        raise RuntimeError("broken")

    told = asyncio.Event()
    loop.on_broken = told.set
    monkeypatch.setattr(loop.engine, "step", fail)
    for _ in range(3):
        with pytest.raises(Refused):
            await read(loop, call())
    await asyncio.wait_for(told.wait(), 2)
    assert loop.is_broken


async def test_stopping_fails_who_runs_and_who_waits(loop: EngineLoop) -> None:
    tasks = [asyncio.create_task(read(loop, call(max_tokens=400))) for _ in range(4)]
    assert await eventually(lambda: loop.admission.num_waiting == 2)
    loop.fail_open()
    outcomes = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 2)
    assert [getattr(outcome, "code", None) for outcome in outcomes] == ["engine_stopping"] * 4


async def test_a_reader_that_is_slow_gets_joined_text(loop: EngineLoop) -> None:
    whole = text_of(await read(loop, call(max_tokens=60)))
    pieces = []
    async for piece in await loop.open(call(max_tokens=60)):
        pieces.append(piece)
        await asyncio.sleep(0.2)
    assert text_of(pieces) == whole
    assert len(pieces) < 20


async def test_prefix_hits_are_reported_within_a_tenant_only(loop: EngineLoop) -> None:
    prompt = "the same long beginning " * 8
    cached = [
        end_of(await read(loop, call(prompt, salt=salt))).usage.cached_tokens for salt in ("a", "a", "b")
    ]
    assert cached[0] == 0
    assert cached[1] > 64
    assert cached[2] == 0
