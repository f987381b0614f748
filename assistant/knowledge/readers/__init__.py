"""Bytes of a file become a Document: Markdown with headings, whatever the format was.

One module per format, each with `convert(data) -> Document`; this one chooses by the file's suffix and
checks that the bytes are what the suffix says. Nothing here knows of collections or the database.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

from assistant.knowledge.errors import UnreadableFile
from assistant.knowledge.readers import docx, html, markdown, pdf, rst
from assistant.knowledge.readers.document import Document, decode

__all__ = ["MAX_FILE_BYTES", "READERS", "Document", "read"]

MAX_FILE_BYTES = 20 * 1024 * 1024

READERS: dict[str, Callable[[bytes], Document]] = {
    ".md": markdown.convert,
    ".markdown": markdown.convert,
    ".rst": rst.convert,
    ".txt": rst.convert,
    ".html": html.convert,
    ".htm": html.convert,
    ".pdf": pdf.convert,
    ".docx": docx.convert,
}
MAGIC = {".pdf": b"%PDF-", ".docx": b"PK\x03\x04"}


def read(path: str, data: bytes) -> Document:
    """The document in `data`, with a title (the file's name where the document has none).

    Raises UnreadableFile: unknown suffix, too large, wrong magic, broken inside, or empty.
    """
    suffix = PurePosixPath(path).suffix.lower()
    check(path, suffix, data)
    try:
        document = READERS[suffix](data)
    except UnreadableFile:
        raise
    except Exception as error:  # a parser's own border: any of a dozen libraries' errors means one thing
        raise UnreadableFile(
            f"{path}: the {suffix} file is broken ({type(error).__name__}: {error})."
        ) from error
    if not document.markdown.strip():
        raise UnreadableFile(f"{path}: there is no text in it (a scan needs text recognition first).")
    title = document.title or PurePosixPath(path).stem.replace("_", " ").replace("-", " ")
    return Document(title=title[:300], markdown=document.markdown, locale=document.locale)


def check(path: str, suffix: str, data: bytes) -> None:
    if suffix not in READERS:
        raise UnreadableFile(
            f"{path}: {suffix or 'no suffix'} is not read. Known: {', '.join(sorted(READERS))}."
        )
    if len(data) > MAX_FILE_BYTES:
        raise UnreadableFile(f"{path}: {len(data):,} bytes are more than {MAX_FILE_BYTES:,}. Split it.")
    if magic := MAGIC.get(suffix):
        if magic not in data[:1024]:
            raise UnreadableFile(f"{path}: the content is not {suffix}. Rename it to what it is.")
    else:
        decode(data)  # text formats: refuses binaries
