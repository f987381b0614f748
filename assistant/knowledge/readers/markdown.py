"""Markdown stays as it is, without its front matter; the first heading is the title."""

from __future__ import annotations

import re

from assistant.knowledge.readers.document import Document, decode, locale_of

FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
HEADING = re.compile(r"^#{1,2} +(.+?) *#*$", re.MULTILINE)
MARKUP = re.compile(r"[*`]|!?\[([^\]]*)\]\([^)]*\)")


def convert(data: bytes) -> Document:
    text = FRONT_MATTER.sub("", decode(data).replace("\r\n", "\n"))
    heading = HEADING.search(text)
    title = MARKUP.sub(r"\1", heading.group(1)).strip() if heading else ""
    return Document(title=title, markdown=text, locale=locale_of(text))
