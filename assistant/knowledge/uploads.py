"""Files that staff bring in the console: checked at the door, kept aside, read by a background job."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePath

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from assistant.accounts.models import User
from assistant.console import jobs
from assistant.console.models import Job
from assistant.knowledge.errors import RefusedSource, UnreadableFile
from assistant.knowledge.ingest import ingest_source
from assistant.knowledge.models import Collection
from assistant.knowledge.readers import MAX_FILE_BYTES, check
from assistant.knowledge.sources import Source, local_file

MAX_FILES = 200
MAX_TOTAL_BYTES = 200 * 1024 * 1024
KEY = "upload"


def enqueue(*, collection: Collection, files: Sequence[UploadedFile], by: User | None) -> Job:
    """Keep the files and start the job. Raises RefusedSource or UnreadableFile; then nothing is kept."""
    from assistant.knowledge.tasks import ingest_upload

    if not files or len(files) > MAX_FILES:
        raise RefusedSource(
            f"{len(files)} files: bring 1 to {MAX_FILES} at a time, or use `manage.py ingest`."
        )
    if sum(file.size or 0 for file in files) > MAX_TOTAL_BYTES:
        raise RefusedSource(f"More than {MAX_TOTAL_BYTES:,} bytes at a time. Bring fewer files.")
    job = Job(kind="ingest")
    folder = folder_of(job)
    try:
        for file in files:
            keep(file, folder)
        arguments = {"collection": collection.pk, "folder": folder.name}
        return jobs.start(kind="ingest", task=ingest_upload, arguments=arguments, created_by=by)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def folder_of(job: Job) -> Path:
    """A new folder named by a random id: nothing of the uploaded names is part of a path above it."""
    folder = Path(settings.MEDIA_ROOT) / "knowledge" / str(job.pk)
    folder.mkdir(parents=True, mode=0o700)
    return folder


def keep(file: UploadedFile, folder: Path) -> None:
    """Read in pieces and counted: the announced size may be a lie."""
    name = re.sub(r"[^\w. \-()]", "_", PurePath(file.name or "").name).lstrip(".")[:150]
    data = bytearray()
    for chunk in file.chunks():
        data += chunk
        if len(data) > MAX_FILE_BYTES:
            raise UnreadableFile(f"{name}: more than {MAX_FILE_BYTES:,} bytes. Split it.")
    check(name, PurePath(name).suffix.lower(), bytes(data))
    (folder / name).write_bytes(data)


def work(claim: jobs.Claim) -> jobs.Result:
    """Read what was kept. The kept files go once their articles are saved."""
    collection = Collection.objects.get(pk=claim.job.arguments["collection"])
    folder = Path(settings.MEDIA_ROOT) / "knowledge" / PurePath(claim.job.arguments["folder"]).name
    files = [local_file(file, f"uploads/{file.name}", "", folder) for file in sorted(folder.iterdir())]
    report = ingest_source(
        source=Source(KEY, files), collection=collection, on_progress=claim.progress, is_whole=False
    )
    shutil.rmtree(folder, ignore_errors=True)
    faults = "".join(f"\n{reason}" for _, reason in report.failed)
    return jobs.Result(message=f"{report}{faults}")
