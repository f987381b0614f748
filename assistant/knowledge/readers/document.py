"""What every reader returns, and the decoding of text that all of them share."""

from __future__ import annotations

import re
from dataclasses import dataclass

from assistant.knowledge.errors import UnreadableFile

CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")


@dataclass(frozen=True)
class Document:
    """`title` may be empty; sections of `markdown` have ATX headings; `locale`: "en" or "zh-hans"."""

    title: str
    markdown: str
    locale: str = "en"


def decode(data: bytes) -> str:
    """UTF-8 (with or without mark), UTF-16 with its mark, GB18030 for old Chinese files."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    if b"\0" in data[:8192]:
        raise UnreadableFile("binary bytes in a text file. Rename it to what it is.")
    for encoding in ("utf-8-sig", "gb18030", "latin-1"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise AssertionError("latin-1 decodes everything")


def locale_of(text: str) -> str:
    """Chinese when one letter in ten is."""
    sample = text[:20_000]
    return "zh-hans" if len(CJK.findall(sample)) * 10 > len(sample.replace(" ", "")) else "en"
