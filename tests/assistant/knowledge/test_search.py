"""Search: laymen's words find the passage, and never one of another site."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings

from assistant.knowledge import ingest, search, services
from assistant.knowledge.models import Collection
from assistant.knowledge.queries import understand
from assistant.widget.models import Site
from tests.support.people import make_site
from tests.support.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.django_db
SPELLING = pytest.mark.skipif(
    settings.DATABASES["default"]["ENGINE"] != "django.db.backends.sqlite3",
    reason="PostgreSQL tells its vocabulary too slowly; misspelt words are left to the vectors there",
)


@pytest.fixture
def filled(engine: ScriptedEngine, folder: Path, collection: Collection, site: Site) -> Site:
    (folder / "zh.md").write_text("# 部署\n\n在服务器上部署应用之前，请先备份数据库。\n")
    (folder / "code.md").write_text(
        "# Classes\n\nA `SearchVector` combines columns.\n\nThe queryset is lazy.\n"
    )
    ingest.ingest_path(path=str(folder), collection=collection)
    return site


def top(question: str, site: Site) -> str:
    hits = search.search(question, site=site, locale="en")
    return hits[0].passage.article.path if hits else ""


@pytest.mark.parametrize(
    ("question", "path"),
    [
        ("What is the size limit of a file?", "docs/guide/uploads.md"),
        ("I forgot my password, what now?", "docs/guide/sign-in.rst"),
        ("how do I log in", "docs/guide/sign-in.rst"),
        ("can people send a photo", "docs/guide/uploads.md"),
        pytest.param("databse bakcup", "docs/backup.html", marks=SPELLING),
        ("search vector", "docs/code.md"),
        ("query set", "docs/code.md"),
        ("部署之前要做什么？", "docs/zh.md"),
        ("怎么重置密码？", "docs/guide/sign-in.rst"),
    ],
)
def test_laymens_words_find_the_article(filled: Site, question: str, path: str) -> None:
    assert top(question, filled) == path


def test_another_sites_collection_is_never_searched(filled: Site) -> None:
    other = make_site("other")
    assert search.search("database backup", site=other) == []


def test_search_works_by_words_alone_without_the_engine(filled: Site, no_engine: None) -> None:
    assert top("dumpall database", filled) == "docs/backup.html"


def test_an_edited_article_is_found_in_its_new_form_at_once(
    filled: Site, folder: Path, collection: Collection
) -> None:
    assert top("dumpall database", filled) == "docs/backup.html"
    (folder / "backup.html").write_text("<h1>Backup</h1><p>Use frobnicate instead of it.</p>")
    ingest.ingest_path(path=str(folder), collection=collection)
    assert "frobnicate" in search.search("frobnicate", site=filled)[0].passage.text


@pytest.mark.parametrize(
    "question", ['"', "a AND OR NOT (", "NEAR(x y)", "col:*", "'; DROP TABLE x --", "\x00", "😀", "*" * 500]
)
def test_no_question_breaks_the_index(filled: Site, question: str) -> None:
    search.search(question, site=filled)


def test_the_epoch_of_a_site_changes_with_any_article_and_any_collection(
    filled: Site, folder: Path, collection: Collection
) -> None:
    first = services.epoch(filled)
    (folder / "zh.md").unlink()
    ingest.ingest_path(path=str(folder), collection=collection)
    second = services.epoch(filled)
    filled.collections.add(services.collection_named(name="more"))
    assert len({first, second, services.epoch(filled)}) == 3


@SPELLING
def test_misspelt_words_are_corrected_by_the_collections_vocabulary(
    filled: Site, folder: Path, collection: Collection
) -> None:
    (folder / "more.md").write_text("# More\n\nThe database again.\n")
    ingest.ingest_path(path=str(folder), collection=collection)
    assert any(word.startswith("databas") for word in understand("databse").related)


def test_release_notes_stand_back_unless_versions_are_asked_for(
    engine: ScriptedEngine, folder: Path, collection: Collection, site: Site
) -> None:
    (folder / "changelog.md").write_text("# Backup tool\n\nThe backup tool writes archives.\n")
    (folder / "tool.md").write_text("# Backup tool\n\nThe backup tool writes archives of it.\n")
    ingest.ingest_path(path=str(folder), collection=collection)
    asked = search.search("backup tool archives version", site=site)
    assert asked[0].passage.article.path == "docs/changelog.md"
    hits = [hit.passage.article.path for hit in search.search("backup tool archives", site=site)]
    assert hits.index("docs/tool.md") < hits.index("docs/changelog.md")
