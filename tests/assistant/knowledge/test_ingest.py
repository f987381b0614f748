"""Ingestion: only what changed, whole articles or nothing, faults reported and skipped."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from assistant.knowledge import fulltext, ingest, services
from assistant.knowledge.errors import RefusedSource
from assistant.knowledge.models import Article, Collection, Passage
from assistant.widget.models import Site
from tests.support.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.django_db


def bring(folder: Path, collection: Collection) -> ingest.Report:
    report = ingest.ingest_path(path=str(folder), collection=collection)
    collection.refresh_from_db()
    return report


def test_articles_and_embedded_passages_are_saved(
    engine: ScriptedEngine, folder: Path, collection: Collection
) -> None:
    report = bring(folder, collection)
    assert (report.num_added, report.failed) == (3, [])
    titles = dict(collection.articles.values_list("path", "title"))
    assert titles == {
        "docs/backup.html": "Backup",
        "docs/guide/sign-in.rst": "Signing in",
        "docs/guide/uploads.md": "Uploads",
    }
    assert all(len(passage.embedding or b"") == 768 for passage in Passage.objects.all())


def test_unchanged_files_cost_nothing(engine: ScriptedEngine, folder: Path, collection: Collection) -> None:
    bring(folder, collection)
    epoch, num_embedded = collection.epoch, engine.stats()["embedded_texts"]
    report = bring(folder, collection)
    assert (report.num_unchanged, report.num_passages) == (3, 0)
    assert (collection.epoch, engine.stats()["embedded_texts"]) == (epoch, num_embedded)


def test_a_changed_file_is_read_again_and_the_epoch_grows(
    engine: ScriptedEngine, folder: Path, collection: Collection
) -> None:
    bring(folder, collection)
    epoch = collection.epoch
    (folder / "guide" / "uploads.md").write_text("# Uploads\n\nNothing may be uploaded.\n")
    assert bring(folder, collection).num_changed == 1
    assert collection.epoch > epoch
    assert [passage.text for passage in Passage.objects.filter(article__title="Uploads")] == [
        "Nothing may be uploaded."
    ]


def test_a_removed_file_disappears_with_its_index(
    engine: ScriptedEngine, folder: Path, collection: Collection
) -> None:
    bring(folder, collection)
    epoch = collection.epoch
    (folder / "backup.html").unlink()
    assert bring(folder, collection).num_removed == 1
    assert collection.epoch > epoch
    assert fulltext.search(["dumpall"], limit=5) == []


def test_excluded_files_are_left_out_and_go_when_they_were_read_before(
    engine: ScriptedEngine, folder: Path, collection: Collection
) -> None:
    bring(folder, collection)
    report = ingest.ingest_path(path=str(folder), collection=collection, exclude=["guide/*"])
    assert (report.num_removed, report.num_unchanged) == (2, 1)
    assert [article.path for article in collection.articles.all()] == ["docs/backup.html"]


def test_another_source_of_the_collection_is_left_alone(
    engine: ScriptedEngine, folder: Path, collection: Collection, tmp_path: Path
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# Readme\n\nHello.\n")
    bring(readme, collection)
    bring(folder, collection)
    assert collection.articles.filter(path="README.md").exists()


def test_a_broken_file_is_reported_and_the_others_are_read(
    engine: ScriptedEngine, folder: Path, collection: Collection
) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    report = bring(folder, collection)
    assert report.num_added == 3
    assert [path for path, _ in report.failed] == ["docs/broken.pdf"]


def test_a_file_that_breaks_keeps_its_last_good_version(
    engine: ScriptedEngine, folder: Path, collection: Collection
) -> None:
    bring(folder, collection)
    (folder / "guide" / "uploads.md").write_bytes(b"\x00\x01")
    assert len(bring(folder, collection).failed) == 1
    assert Passage.objects.filter(article__title="Uploads").count() == 2


def test_a_link_out_of_the_folder_is_refused(
    engine: ScriptedEngine, folder: Path, collection: Collection, tmp_path: Path
) -> None:
    (tmp_path / "secret.md").write_text("# Secret\n\npassword\n")
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
    report = bring(folder, collection)
    assert "leads out" in report.failed[0][1]
    assert not Article.objects.filter(title="Secret").exists()


def test_a_failing_save_leaves_the_old_article_whole(
    engine: ScriptedEngine, folder: Path, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(folder, collection)
    (folder / "guide" / "uploads.md").write_text("# Uploads\n\nNew.\n")

    def fail(collection: Collection) -> None:
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(services, "touch", fail)
        bring(folder, collection)
    assert Passage.objects.filter(article__title="Uploads").count() == 2


def test_without_the_engine_passages_are_found_by_words_and_embedded_later(
    no_engine: None, folder: Path, collection: Collection, embedder_process: ScriptedEngine, settings: object
) -> None:
    report = bring(folder, collection)
    assert report.num_unembedded == report.num_passages == 5
    assert fulltext.search(["dumpall"], limit=5)
    settings.EMBEDDINGS_SOCKET = embedder_process.socket_path  # type: ignore[attr-defined]
    epoch = collection.epoch
    assert ingest.embed_missing() == 5
    collection.refresh_from_db()
    assert collection.epoch > epoch
    assert not Passage.objects.filter(embedding=None).exists()


def test_the_database_keeps_the_index_by_itself(
    engine: ScriptedEngine, folder: Path, collection: Collection
) -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'knowledge_fts%'"
            )
            assert {row[0][len("knowledge_fts_") :] for row in cursor.fetchall()} == {
                "insert",
                "update",
                "delete",
            }
    bring(folder, collection)
    collection.delete()
    assert fulltext.search(["dumpall", "upload"], limit=5) == []


def test_the_command_attaches_the_collection_to_the_site(
    engine: ScriptedEngine, folder: Path, site: Site
) -> None:
    call_command("ingest", str(folder), "--collection", "Other Manual", "--site", "shop")
    assert site.collections.filter(slug="other-manual").exists()


@pytest.mark.parametrize("location", ["/nowhere/at/all", "ftp://example.com/a.md", "file:///etc/passwd"])
def test_sources_that_cannot_be_read_are_refused(collection: Collection, location: str) -> None:
    with pytest.raises(RefusedSource):
        ingest.ingest_path(path=location, collection=collection)
