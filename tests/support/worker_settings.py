"""The project's settings, on the database of the tests, for processes that a test starts."""

import os
from typing import Any

from chatbot.settings import *  # noqa: F403
from chatbot.settings import DATABASES

database: dict[str, Any] = DATABASES["default"]
database["NAME"] = os.environ["TEST_DATABASE_NAME"]
JOB_LEASE_S = 2
CELERY_IMPORTS = ["tests.support.worker_tasks"]
