"""The settings of a web process under test: the real ones, on the test's database and engine."""

import os
from pathlib import Path

from chatbot.settings import *  # noqa: F403
from chatbot.settings import DATABASES, ENGINE_SOCKET

DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE"]
ENGINE_SOCKET = EMBEDDINGS_SOCKET = Path(os.environ.get("TEST_ENGINE", ENGINE_SOCKET))
if os.environ.get("TEST_SCENARIOS"):
    SCENARIOS = os.environ["TEST_SCENARIOS"].split(",")
