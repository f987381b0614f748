"""Cut an article into passages that can be found, quoted and cited.

A passage stays inside one section, so its heading path says what it is about. It ends between blocks;
code and list items are broken only when one alone is too long. The Markdown parser that renders the
article also cuts it, so the anchors agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

TARGET_TOKENS = 170
MAX_TOKENS = 260

PIECE = re.compile(r"[A-Za-z]{1,8}|\d{1,4}|[^\sA-Za-z\d]")
MARKUP = re.compile(r"[*`]|!?\[([^\]]*)\]\([^)]*\)|\\(?=[^\w\s])")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`*\"'(\[])|(?<=[。！？；])")

parser = MarkdownIt("commonmark", {"html": False}).enable("table")


@dataclass(frozen=True)
class Draft:
    """A passage before it is saved. `headings`: "Title › Section"; `anchor`: of the nearest heading."""

    headings: str
    anchor: str
    text: str


@dataclass
class Section:
    headings: list[str]
    anchor: str
    blocks: list[str] = field(default_factory=list)


def cut(markdown: str, *, title: str) -> list[Draft]:
    """Passages in reading order; an article without text has none."""
    return [
        Draft(headings=" › ".join(section.headings)[:500], anchor=section.anchor[:200], text=text)
        for section in sections(markdown, title)
        for text in pack(section.blocks)
    ]


def sections(markdown: str, title: str) -> Iterator[Section]:
    lines = markdown.split("\n")
    tokens = parser.parse(markdown)
    anchors = Anchors()
    path: list[tuple[int, str]] = []
    current = Section([title], "")
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            if current.blocks:
                yield current
            heading = plain(tokens[at + 1].content)
            level = int(token.tag[1])
            path = [entry for entry in path if entry[0] < level] + [(level, heading)]
            names = [name for _, name in path]
            current = Section(names if names[0] == title else [title, *names], anchors.add(heading))
        elif token.map and token.type != "heading_close":
            current.blocks += blocks(token, tokens, at, lines)
    if current.blocks:
        yield current


def blocks(token: Token, tokens: list[Token], at: int, lines: list[str]) -> list[str]:
    """The source of a top-level block; a list counts as one block per item."""
    assert token.map
    if token.level == 0 and token.type not in ("bullet_list_open", "ordered_list_open"):
        return [source(lines, token.map)]
    if token.type == "list_item_open" and token.level == 1:
        return [source(lines, token.map)]
    return []


def source(lines: list[str], span: list[int]) -> str:
    return "\n".join(lines[span[0] : span[1]]).strip("\n")


def pack(parts: list[str]) -> Iterator[str]:
    """Join blocks up to the target size. A block that introduces the next one ("…:") stays with it."""
    held: list[str] = []
    size = 0
    for part in (piece for block in parts for piece in split(block)):
        tokens = num_tokens(part)
        is_introduced = bool(held) and held[-1].rstrip().endswith((":", "："))
        limit = MAX_TOKENS if is_introduced else TARGET_TOKENS
        if held and size + tokens > limit:
            yield "\n\n".join(held)
            held, size = [], 0
        held.append(part)
        size += tokens
    if held:
        yield "\n\n".join(held)


def split(block: str) -> Iterator[str]:
    """A block that alone is too long: code at line ends with its fence again, prose at sentence ends."""
    if num_tokens(block) <= MAX_TOKENS:
        yield block
    elif block.startswith("```"):
        opening, *body = block.split("\n")
        body = body[:-1] if body and body[-1].startswith("```") else body
        ticks = re.match("`+", opening)
        assert ticks
        for chunk in chunks(body, "\n"):
            yield f"{opening}\n{chunk}\n{ticks.group()}"
    elif block.startswith("|"):
        lines = block.split("\n")
        for chunk in chunks(lines[2:], "\n"):
            yield "\n".join([*lines[:2], chunk])
    elif "\n" in block and re.match(r"[-*+] |\d+[.)] ", block):
        yield from chunks(block.split("\n"), "\n")
    else:
        yield from chunks(SENTENCE_END.split(block), " ")


def chunks(parts: list[str], joint: str) -> Iterator[str]:
    held: list[str] = []
    size = 0
    for part in (piece for long in parts for piece in slices(long)):
        tokens = num_tokens(part)
        if held and size + tokens > TARGET_TOKENS:
            yield joint.join(held)
            held, size = [], 0
        held.append(part)
        size += tokens
    if held:
        yield joint.join(held)


def slices(text: str) -> list[str]:
    """A line without any end in sight (minified code, base64) is cut by length."""
    return [text[at : at + 1500] for at in range(0, len(text), 1500)] or [text]


def num_tokens(text: str) -> int:
    """About what a word-piece tokenizer makes of it; exact enough to size a passage."""
    return len(PIECE.findall(text))


def plain(text: str) -> str:
    """A heading's words without its markup."""
    return " ".join(MARKUP.sub(r"\1", text).split())


class Anchors:
    """Anchors as GitHub makes them, unique in one article."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def add(self, heading: str) -> str:
        base = re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")[:180] or "section"
        number = self.seen.get(base, 0)
        self.seen[base] = number + 1
        return f"{base}-{number}" if number else base
