"""A site whose knowledge is a small shop manual, embedded by the scripted engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assistant.knowledge import ingest, services
from assistant.widget.models import Site
from tests.support.people import make_site
from tests.support.scripted_engine import ScriptedEngine

MANUAL = """# Shop manual

## Returns

Items can be returned within 14 days of delivery. The label is in the parcel.

## Passwords

Set `PASSWORD_MIN_LENGTH` in the settings file to change the minimum length of a password. The default is 8.
Passwords are stored hashed.

## Backups

Run the backup command every night:

```console
shopctl backup --target /var/backups
```

The worker compresses each archive before it is written.
"""


@pytest.fixture(scope="session")
def embedder_process() -> Iterator[ScriptedEngine]:
    with ScriptedEngine() as engine:
        yield engine


@pytest.fixture
def engine(embedder_process: ScriptedEngine, settings: Any) -> ScriptedEngine:
    settings.ENGINE_SOCKET = settings.EMBEDDINGS_SOCKET = Path(embedder_process.socket_path)
    return embedder_process


@pytest.fixture
def site(transactional_db: None, engine: ScriptedEngine, tmp_path: Path) -> Site:
    site = make_site("shop")
    (tmp_path / "manual.md").write_text(MANUAL)
    collection = services.collection_named(name="manual")
    site.collections.add(collection)
    ingest.ingest_path(path=str(tmp_path / "manual.md"), collection=collection)
    return site
