"""The engine process on the real default model."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.serving.catalogue import DEFAULT_MODEL, EMBEDDING_MODEL
from inference.serving.client import ChatRequest, EngineClient, Finished, Token
from inference.serving.prepare import prepare_model
from tests.inference.serving.test_server import start, wait_until_ready

MODELS_DIR = Path(__file__).resolve().parents[3] / "var" / "models"
ARTICLE = (
    "You answer only from this article. Article: The warranty of the Nimbus kettle lasts 27 months. It "
    "covers the heating element and the lid. It does not cover limescale. To use it, send the receipt to "
    "the shop in Bergen."
)

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineClient]:
    prepare_model(EMBEDDING_MODEL, MODELS_DIR)
    folder = prepare_model(DEFAULT_MODEL, MODELS_DIR)
    path = tmp_path_factory.mktemp("run") / "e.sock"
    process: subprocess.Popen[bytes] = start("--model-dir", str(folder.path), "--socket", str(path))
    try:
        wait_until_ready(process, path)
        yield EngineClient(f"unix:{path}")
    finally:
        process.kill()
        process.wait()


async def answer(
    client: EngineClient, *messages: tuple[str, str], **fields: object
) -> tuple[list[str], Finished]:
    request = ChatRequest([{"role": role, "content": text} for role, text in messages], **fields)  # type: ignore[arg-type]
    pieces = [piece async for piece in client.chat(request)]
    assert isinstance(pieces[-1], Finished)
    return [piece.text for piece in pieces if isinstance(piece, Token)], pieces[-1]


async def test_it_answers_from_the_article_and_reuses_its_prefix(client: EngineClient) -> None:
    question = ("user", "How long does the warranty last?")
    parts, end = await answer(client, ("system", ARTICLE), question, max_tokens=40, temperature=0.0)
    assert "27 months" in "".join(parts)
    assert end.reason == "stop"
    again = ("user", "Where do I send the receipt?")
    parts, end = await answer(client, ("system", ARTICLE), again, max_tokens=40, temperature=0.0)
    assert "Bergen" in "".join(parts)
    assert end.usage.cached_tokens >= 32


async def test_chinese_arrives_in_whole_characters(client: EngineClient) -> None:
    parts, _ = await answer(client, ("user", "用中文写一句关于大海的话,加一个表情符号。"), max_tokens=40)
    assert len(parts) > 3
    assert "�" not in "".join(parts)
    assert any("\u4e00" <= char <= "\u9fff" for char in "".join(parts))


async def test_a_begun_answer_is_continued(client: EngineClient) -> None:
    turns = (
        ("user", "What is the capital of France?"),
        ("assistant", "The capital of France is the city of"),
    )
    parts, _ = await answer(client, *turns, continue_final_message=True, max_tokens=6, temperature=0.0)
    assert "".join(parts).strip().startswith("Paris")


async def test_the_same_seed_gives_the_same_answer(client: EngineClient) -> None:
    ask = ("user", "Write a line of a poem.")
    seeds = (7, 7, 7, 8)  # the first fills the prefix cache, so that the others compute the same products
    _, first, second, other = [
        (await answer(client, ask, seed=seed, temperature=1.0, max_tokens=12))[0] for seed in seeds
    ]
    assert first == second
    assert first != other
