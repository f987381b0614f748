"""Word files by python-docx: headings, paragraphs, lists and tables, after the zip was weighed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import docx
from docx.table import Table
from docx.text.paragraph import Paragraph

from assistant.knowledge.errors import UnreadableFile
from assistant.knowledge.readers.document import Document, locale_of

MAX_UNPACKED_BYTES = 100 * 1024 * 1024
MAX_ENTRIES = 5000


def convert(data: bytes) -> Document:
    weigh(data)
    document = docx.Document(io.BytesIO(data))
    parts = [part for item in document.iter_inner_content() for part in to_markdown(item)]
    markdown = "\n\n".join(part for part in parts if part.strip())
    title = (document.core_properties.title or "").strip()
    return Document(title=title or first_heading(markdown), markdown=markdown, locale=locale_of(markdown))


def weigh(data: bytes) -> None:
    """Refuse a bomb by what the directory admits, then by what comes out: the directory may lie."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if len(entries) > MAX_ENTRIES or sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
            raise UnreadableFile(
                f"more than {MAX_UNPACKED_BYTES:,} bytes or {MAX_ENTRIES} entries when unpacked: refused."
            )
        left = MAX_UNPACKED_BYTES
        for entry in entries:
            with archive.open(entry) as stream:
                while chunk := stream.read(1 << 20):
                    left -= len(chunk)
                    if left < 0:
                        raise UnreadableFile("it unpacks to more than its directory says: refused as a bomb.")


def to_markdown(item: Paragraph | Table) -> Iterator[str]:
    if isinstance(item, Table):
        rows = [
            [cell.text.replace("\n", " ").replace("|", "\\|").strip() for cell in row.cells]
            for row in item.rows
        ]
        if rows:
            lines = [f"| {' | '.join(row)} |" for row in rows]
            lines.insert(1, "|" + " --- |" * len(rows[0]))
            yield "\n".join(lines)
        return
    text = item.text.strip()
    style = (item.style.name if item.style and item.style.name else "").lower()
    if style == "title":
        yield f"# {text}"
    elif style.startswith("heading") and style[-1:].isdigit():
        yield f"{'#' * min(int(style[-1]), 6)} {text}"
    elif style.startswith("list"):
        yield f"- {text}"
    else:
        yield text


def first_heading(markdown: str) -> str:
    return next((line.lstrip("# ") for line in markdown.splitlines() if line.startswith("#")), "")
