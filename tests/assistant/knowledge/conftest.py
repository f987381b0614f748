"""A scripted engine that embeds by words, and a site that answers from a small collection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assistant.knowledge import services
from assistant.knowledge.models import Collection
from assistant.widget.models import Site
from tests.support.people import make_site
from tests.support.scripted_engine import ScriptedEngine


@pytest.fixture(scope="session")
def embedder_process() -> Iterator[ScriptedEngine]:
    with ScriptedEngine() as engine:
        yield engine


@pytest.fixture
def engine(embedder_process: ScriptedEngine, settings: Any) -> ScriptedEngine:
    settings.ENGINE_SOCKET = settings.EMBEDDINGS_SOCKET = Path(embedder_process.socket_path)
    return embedder_process


@pytest.fixture
def no_engine(settings: Any, tmp_path: Path) -> None:
    settings.ENGINE_SOCKET = settings.EMBEDDINGS_SOCKET = tmp_path / "nobody.sock"


@pytest.fixture
def collection(db: None) -> Collection:
    return services.collection_named(name="manual")


@pytest.fixture
def site(collection: Collection) -> Site:
    site = make_site("shop")
    site.collections.add(collection)
    return site


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three articles on three subjects, in three formats."""
    docs = tmp_path / "docs"
    (docs / "guide").mkdir(parents=True)
    (docs / "guide" / "uploads.md").write_text(
        "# Uploads\n\nVisitors may upload pictures.\n\n## Size limit\n\n"
        "The setting `MAX_UPLOAD_BYTES` limits each file to 5 MB.\n"
    )
    (docs / "guide" / "sign-in.rst").write_text(
        "Signing in\n==========\n\nSee :setting:`SESSION_AGE`.\n\nForgotten passwords\n"
        "-------------------\n\nChoose *Reset password* on the sign-in page.\n"
    )
    (docs / "backup.html").write_text(
        "<html><head><title>x</title></head><body><nav>menu</nav><main><h1>Backup</h1>"
        "<p>Run <code>dumpall</code> every night to back up the database.</p></main></body></html>"
    )
    return docs
