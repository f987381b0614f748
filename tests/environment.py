"""The ground every test stands on: a data folder of its own and a real Valkey, both gone afterwards.

Loaded as a plugin before Django reads its settings, once in each test process. Models are the one
thing shared with the checkout, because the default one is fetched and converted only once.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA_DIR = Path(tempfile.mkdtemp(prefix="parley-test-"))

os.environ.setdefault("MODELS_DIR", str(ROOT / "var" / "models"))
os.environ["DATA_DIR"] = str(DATA_DIR)
os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL", "")
os.environ["REDIS_URL"] = ""
os.environ["ENGINE_URL"] = ""
# The browser's driver keeps an event loop in the main thread; Django must not mistake it for a view's.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")

from tests.support.valkey import ValkeyServer  # noqa: E402

valkey_server = ValkeyServer(DATA_DIR / "run" / "valkey.sock")


def pytest_sessionstart(session: pytest.Session) -> None:
    valkey_server.start()


def pytest_unconfigure(config: pytest.Config) -> None:
    valkey_server.stop()
    shutil.rmtree(DATA_DIR, ignore_errors=True)
