"""Where knowledge comes from: a file, a folder or an address becomes a list of files to read.

Nothing outside the given folder is ever opened: links that lead out are reported, not followed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePath

from assistant.knowledge import crawl
from assistant.knowledge.errors import RefusedSource, UnreadableFile
from assistant.knowledge.readers import MAX_FILE_BYTES, READERS

SKIPPED_FOLDERS = {"node_modules", "__pycache__", "locale"}
MAX_FILES = 50_000


@dataclass(frozen=True)
class File:
    """`path`: of the article, unique in its source. `load` returns the bytes or raises UnreadableFile."""

    path: str
    url: str
    load: Callable[[], bytes]


@dataclass(frozen=True)
class Source:
    """`key` names the source in the database: what it no longer holds is removed from the collection."""

    key: str
    files: list[File]


def open_source(
    location: str,
    *,
    url_prefix: str = "",
    exclude: Sequence[str] = (),
    may_connect: crawl.Gate = crawl.is_public,
) -> Source:
    """Raises RefusedSource when there is nothing to read at `location`.

    `exclude`: shell patterns of paths within a folder that are left out.
    """
    if "://" in location:
        pages = crawl.crawl(location, may_connect=may_connect)
        return Source(location, [File(page.path, page.url, page.load) for page in pages])
    path = Path(location)
    if not path.exists():
        raise RefusedSource(f"{location} does not exist. Give a file, a folder or an http(s) address.")
    root = path.resolve()
    prefix = url_prefix.rstrip("/") + "/" if url_prefix else ""
    if root.is_file():
        return Source(str(root), [local_file(root, root.name, prefix + root.name if prefix else "")])
    found = sorted(file for file in walk(root) if not is_excluded(file.relative_to(root), exclude))
    if not found:
        raise RefusedSource(f"{location} holds no file of a known kind: {', '.join(sorted(READERS))}.")
    names = ((file, file.relative_to(root).as_posix()) for file in found)
    return Source(
        str(root),
        [
            local_file(file, f"{root.name}/{name}", prefix + name if prefix else "", root)
            for file, name in names
        ],
    )


def is_excluded(path: PurePath, patterns: Sequence[str]) -> bool:
    return any(fnmatch(path.as_posix(), pattern) for pattern in patterns)


def walk(root: Path) -> Iterator[Path]:
    count = 0
    for folder, subfolders, names in os.walk(root, followlinks=False):
        subfolders[:] = [
            name for name in subfolders if not name.startswith((".", "_")) and name not in SKIPPED_FOLDERS
        ]
        for name in names:
            if Path(name).suffix.lower() in READERS and not name.startswith("."):
                count += 1
                if count > MAX_FILES:
                    raise RefusedSource(f"{root} holds more than {MAX_FILES:,} files. Ingest its parts.")
                yield Path(folder) / name


def local_file(file: Path, path: str, url: str, root: Path | None = None) -> File:
    def load() -> bytes:
        real = file.resolve()
        if root is not None and not real.is_relative_to(root):
            raise UnreadableFile(
                f"{path}: this link leads out of the folder to {real}. Copy the file instead."
            )
        try:
            if real.stat().st_size > MAX_FILE_BYTES:
                raise UnreadableFile(f"{path}: larger than {MAX_FILE_BYTES:,} bytes. Split it.")
            return real.read_bytes()
        except OSError as error:
            raise UnreadableFile(f"{path}: cannot be opened ({error.strerror}).") from error

    return File(path=path, url=url, load=load)
