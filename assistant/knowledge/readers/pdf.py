"""PDF by pypdf: one section per page, so that a citation opens at the page."""

from __future__ import annotations

import io
import re

from pypdf import PdfReader

from assistant.knowledge.errors import UnreadableFile
from assistant.knowledge.readers.document import Document, locale_of

MAX_PAGES = 3000
MAX_CHARACTERS = 20_000_000


def convert(data: bytes) -> Document:
    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise UnreadableFile("the PDF asks for a password. Save it without one.")
    if len(reader.pages) > MAX_PAGES:
        raise UnreadableFile(f"{len(reader.pages)} pages are more than {MAX_PAGES}. Split the PDF.")
    sections: list[str] = []
    size = 0
    for number, page in enumerate(reader.pages, 1):
        text = tidy(page.extract_text() or "")
        size += len(text)
        if size > MAX_CHARACTERS:
            raise UnreadableFile(f"more than {MAX_CHARACTERS:,} characters of text. Split the PDF.")
        if text:
            sections.append(f"## Page {number}\n\n{text}")
    title = str((reader.metadata and reader.metadata.title) or "").strip()
    markdown = "\n\n".join(sections)
    return Document(title=title, markdown=markdown, locale=locale_of(markdown))


def tidy(text: str) -> str:
    """Lines of a page become paragraphs: hyphens at line ends go, single breaks are spaces."""
    text = re.sub(r"(\w)-\n(\w)", r"\1\2", text.replace("\r", ""))
    paragraphs = re.split(r"\n\s*\n|(?<=[.!?。！？:：])\n(?=[A-Z\u4e00-\u9fff•\-\d])", text)
    lines = (re.sub(r"\s*\n\s*", " ", paragraph).strip() for paragraph in paragraphs)
    return "\n\n".join(re.sub(r"^([#>])", r"\\\1", line) for line in lines if line)
