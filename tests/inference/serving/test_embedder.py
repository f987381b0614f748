import asyncio
import time
from pathlib import Path

import pytest
import torch

from inference.serving.catalogue import EMBEDDING_MODEL
from inference.serving.embedder import Embedder, Encoder, batches_by_length
from inference.serving.prepare import prepare_model

MODELS_DIR = Path(__file__).resolve().parents[3] / "var" / "models"
TEXTS = [
    "How do I reset my password?",
    "I forgot my login and cannot get in.",
    "The bread is baked every morning at six.",
    "Click the link in the e-mail to choose a new password. " * 12,
    "",
]


@pytest.fixture(scope="module")
def folder() -> Path:
    return prepare_model(EMBEDDING_MODEL, MODELS_DIR).path


@pytest.fixture(scope="module")
def embedder(folder: Path) -> Embedder:
    return Embedder(folder, num_threads=1)


async def embed(embedder: Embedder, texts: list[str]) -> torch.Tensor:
    rows, _ = await embedder.embed(texts)
    return torch.stack([torch.frombuffer(bytearray(row), dtype=torch.float32) for row in rows])


def test_batches_hold_every_text_once_and_a_bounded_number_of_tokens() -> None:
    lengths = [5, 256, 3, 4000, 256, 17] + [8] * 1000
    batches = batches_by_length(lengths)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    sizes = [len(batch) * max(lengths[index] for index in batch) for batch in batches]
    assert all(size <= 2048 or len(batch) == 1 for size, batch in zip(sizes, batches, strict=True))


@pytest.mark.model
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-3)])
def test_vectors_equal_those_of_transformers(folder: Path, dtype: torch.dtype, tolerance: float) -> None:
    from transformers import BertModel

    oracle = BertModel.from_pretrained(folder, add_pooling_layer=False)
    tokens = torch.randint(1000, 20_000, (3, 40), generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([40, 17, 1])
    mask = (torch.arange(40)[None] < lengths[:, None]).long()
    with torch.inference_mode():
        states = oracle(tokens, attention_mask=mask).last_hidden_state
    mean = (states * mask[:, :, None]).sum(1) / lengths[:, None]
    expected = torch.nn.functional.normalize(mean, dim=-1)
    similarity = (Encoder(folder, dtype).encode(tokens, lengths) * expected).sum(-1)
    assert torch.all(similarity > 1 - tolerance)


@pytest.mark.model
async def test_a_text_gets_the_same_vector_alone_and_in_a_batch(embedder: Embedder) -> None:
    together = await embed(embedder, TEXTS)
    alone = torch.cat([await embed(embedder, [text]) for text in TEXTS])
    assert torch.all((together * alone).sum(-1) > 0.999)
    assert torch.allclose(together.norm(dim=-1), torch.ones(len(TEXTS)), atol=1e-4)


@pytest.mark.model
async def test_what_means_the_same_is_nearer(embedder: Embedder) -> None:
    password, login, bread, *_ = await embed(embedder, TEXTS)
    assert password @ login > password @ bread + 0.2


@pytest.mark.model
async def test_a_question_does_not_wait_behind_a_library(embedder: Embedder) -> None:
    await embed(embedder, ["warm up"])
    library = asyncio.create_task(embed(embedder, TEXTS[3:4] * 150))
    await asyncio.sleep(0.05)
    start = time.perf_counter()
    await embed(embedder, ["How do I reset my password?"])
    assert time.perf_counter() - start < 1.0
    assert not library.done()
    await library
