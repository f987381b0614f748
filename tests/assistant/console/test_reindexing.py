"""Re-indexing cuts and embeds what is kept; without an engine it fails aloud and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assistant.console import jobs, reindexing
from assistant.console.models import Job
from assistant.knowledge.models import Article, Collection, Passage
from tests.support.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.django_db


@pytest.fixture
def article() -> Article:
    collection = Collection.objects.create(slug="docs", name="Docs")
    text = "# Guide\n\nPress the green button.\n\n## Stop\n\nPress the red button.\n"
    article = Article.objects.create(
        collection=collection, path="guide.md", title="Guide", markdown=text, content_hash="x"
    )
    Passage.objects.create(article=article, ordinal=0, text="stale")
    return article


def reindex(article: Article, by: Any) -> Job:
    job = reindexing.start(collection=article.collection, created_by=by)
    jobs.work(job.pk, reindexing.work)
    return Job.objects.get(pk=job.pk)


def test_passages_are_cut_and_embedded_again(article: Article, settings: Any, staff: dict[str, Any]) -> None:
    with ScriptedEngine() as engine:
        settings.ENGINE_SOCKET = settings.EMBEDDINGS_SOCKET = engine.socket_path
        job = reindex(article, staff["editor"])
    assert (job.state, job.num_done) == (Job.State.DONE, 1)
    passages = list(article.passages.all())
    assert "green button" in passages[0].text
    assert all(passage.embedding for passage in passages)
    before = article.collection.epoch
    article.collection.refresh_from_db()
    assert article.collection.epoch == before + 1


def test_without_an_engine_the_old_passages_stay(
    article: Article, settings: Any, staff: dict[str, Any], tmp_path: Path
) -> None:
    settings.ENGINE_SOCKET = settings.EMBEDDINGS_SOCKET = tmp_path / "nobody.sock"
    job = reindex(article, staff["editor"])
    assert job.state == Job.State.FAILED
    assert [passage.text for passage in article.passages.all()] == ["stale"]
