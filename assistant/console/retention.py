"""How long finished jobs and the files they made are kept."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from assistant.console.models import Job

EXPORTS_KEPT_DAYS = 7
JOBS_KEPT_DAYS = 90


def exports_folder() -> Path:
    folder: Path = settings.DATA_DIR / "exports"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def purge() -> int:
    """Delete expired exports, with what killed workers left behind, and old jobs. Returns how many files."""
    now = timezone.now()
    oldest = time.time() - EXPORTS_KEPT_DAYS * 86_400
    num_deleted = 0
    for file in exports_folder().iterdir():
        if file.stat().st_mtime < oldest:
            file.unlink(missing_ok=True)
            num_deleted += 1
    expired = Job.objects.filter(finished_at__lt=now - timedelta(days=EXPORTS_KEPT_DAYS))
    expired.exclude(result_path="").update(result_path="")
    Job.objects.filter(finished_at__lt=now - timedelta(days=JOBS_KEPT_DAYS)).delete()
    return num_deleted
