"""The real default model, fetched and converted once and then kept in the shared models folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inference.serving.catalogue import DEFAULT_MODEL
from inference.serving.prepare import prepare_model


@pytest.fixture(scope="session")
def default_model() -> Path:
    """The converted folder of the default model."""
    return prepare_model(DEFAULT_MODEL, Path(os.environ["MODELS_DIR"])).path
