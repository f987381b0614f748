"""Uploads from the console: checked at the door, read by a job, kept in nobody else's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django import DjangoCaptureOnCommitCallbacks

from assistant.console.models import Job
from assistant.knowledge import ingest, tasks
from assistant.knowledge.errors import KnowledgeError
from assistant.knowledge.models import Collection
from tests.support.scripted_engine import ScriptedEngine
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db


def upload(name: str, content: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def test_an_uploaded_file_becomes_an_article(
    engine: ScriptedEngine, collection: Collection, valkey: ValkeyServer, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    files = [upload("Price list.md", b"# Prices\n\nIt costs 5.\n"), upload("bad.pdf", b"%PDF-1.4 broken")]
    job = ingest.enqueue_upload(collection=collection, files=files, by=None)
    tasks.ingest_upload(str(job.pk))
    job.refresh_from_db()
    assert job.state == Job.State.DONE
    assert "1 added" in job.message
    assert "bad.pdf" in job.message
    assert collection.articles.get().path == "uploads/Price list.md"
    assert not list((tmp_path / "media" / "knowledge").iterdir())


def test_a_second_upload_keeps_the_first(
    engine: ScriptedEngine, collection: Collection, valkey: ValkeyServer, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    for name in ("a.md", "b.md"):
        job = ingest.enqueue_upload(collection=collection, files=[upload(name, b"# T\n\nText.\n")], by=None)
        tasks.ingest_upload(str(job.pk))
    assert collection.articles.count() == 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("invoice.pdf", b"MZ this is a program"),
        ("picture.svg", b"<svg onload=alert(1)>"),
        ("page.docx", b"<html>"),
        ("notes.txt", b"\x7fELF\x00\x00"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused_and_nothing_is_kept(
    collection: Collection, settings: Any, tmp_path: Path, name: str, content: bytes
) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    with pytest.raises(KnowledgeError):
        ingest.enqueue_upload(
            collection=collection, files=[upload("ok.md", b"# T"), upload(name, content)], by=None
        )
    assert not Job.objects.exists()
    assert not list((tmp_path / "media" / "knowledge").iterdir())


def test_a_name_cannot_lead_out_of_its_folder(
    engine: ScriptedEngine, collection: Collection, valkey: ValkeyServer, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    file = upload("x.md", b"# T\n\nText.\n")
    file._name = "../../../../x.md"  # what a hostile client sends; Django's own check is not relied on
    job = ingest.enqueue_upload(collection=collection, files=[file], by=None)
    assert [path.name for path in (tmp_path / "media" / "knowledge" / job.arguments["folder"]).iterdir()] == [
        "x.md"
    ]


def test_the_task_is_sent_when_the_job_is_saved(
    collection: Collection,
    valkey: ValkeyServer,
    settings: Any,
    tmp_path: Path,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    with django_capture_on_commit_callbacks() as callbacks:
        ingest.enqueue_upload(collection=collection, files=[upload("a.md", b"# T")], by=None)
    assert len(callbacks) == 1
