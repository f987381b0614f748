"""reStructuredText and plain text by a tolerant converter.

Manuals are written with Sphinx's and their own roles and directives, which docutils alone rejects. This
reads what stands there and never fails: headings, lists, code, notes, tables and descriptions of APIs
become Markdown, references become their text, and what only steers the layout goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from assistant.knowledge.readers.document import Document, decode, locale_of
from assistant.knowledge.readers.rst_inline import inline
from assistant.knowledge.readers.rst_table import is_table, read_table

ADORNMENT = re.compile(r"^([=\-`:.'\"~^_*+#<>!$%&(),/;?@\[\]{|}\\])\1{2,}\s*$")
DIRECTIVE = re.compile(r"^\.\. +(?:\|[^|]+\| +)?([\w:.+-]+?) ?::(?: +(.*))?$")
OPTION = re.compile(r"^:[\w-]+:( .*)?$")
ITEM = re.compile(r"^([*+\-•]|#\.|\(?[0-9a-zA-Z]{1,2}[.)])( +)(?=\S)")
FIELD = re.compile(r"^:([^:\n]+):(?: +(.*))?$")
CODE = {
    "code-block",
    "code",
    "sourcecode",
    "parsed-literal",
    "doctest",
    "testcode",
    "console",
    "ipython",
    "prompt",
}
NOTES = {"note", "warning", "tip", "important", "hint", "caution", "attention", "danger", "error", "seealso"}
VERSIONS = {"versionadded": "New in", "versionchanged": "Changed in", "deprecated": "Deprecated since"}
PLAIN = {"admonition", "topic", "sidebar", "container", "only", "compound", "glossary", "table", "epigraph"}
PLAIN |= {"list-table", "tab", "tabs", "tab-set", "tab-item", "rst-class", "class", "hlist", "highlights"}
DROPPED = {"toctree", "contents", "index", "image", "raw", "include", "literalinclude", "meta", "highlight"}
DROPPED |= {"module", "currentmodule", "py:currentmodule", "py:module", "graphviz", "default-role", "role"}
DROPPED |= {"automodule", "autoclass", "autofunction", "testsetup", "testcleanup", "replace", "sectionauthor"}

Lines = list[str]


def convert(data: bytes) -> Document:
    lines = decode(data).replace("\r\n", "\n").expandtabs(4).split("\n")
    markdown = re.sub(r"\n{3,}", "\n\n", "\n".join(Converter().blocks(lines))).strip()
    title = re.search(r"^#{1,2} (.+)$", markdown, re.MULTILINE)
    plain = re.sub(r"[`*\\]|\[([^\]]*)\]\([^)]*\)", r"\1", title.group(1)) if title else ""
    return Document(title=plain, markdown=markdown, locale=locale_of(markdown))


class Converter:
    """One file's state: which adornment means which level of heading, and where we are."""

    def __init__(self) -> None:
        self.levels: list[str] = []
        self.level = 1

    def blocks(self, lines: Lines, *, nested: int = 0) -> Iterator[str]:
        """Markdown lines for RST lines. `nested`: how deep inside directives; headings do not occur there."""
        at = 0
        while at < len(lines):
            line = lines[at]
            if not line.strip():
                yield ""
                at += 1
            elif line[0].isspace():
                body, at = take_indented(lines, at)
                yield from ["", *self.blocks(body, nested=nested), ""]
            elif not nested and (found := self.heading(lines, at)):
                heading, at = found
                yield from ["", heading, ""]
            elif line.startswith(".. ") or line.rstrip() == "..":
                body, end = take_indented(lines, at + 1)
                yield from ["", *self.explicit(line, body, nested), ""]
                at = end
            elif is_table(lines, at):
                table, at = read_table(lines, at)
                yield from ["", *table, ""]
            elif ITEM.match(line) and not ADORNMENT.match(line):
                item, at = self.item(lines, at, nested)
                yield from item
            elif line.startswith(">>>"):
                body, at = take_paragraph(lines, at)
                yield from ["", *fence("python", body), ""]
            else:
                paragraph, at = self.paragraph(lines, at, nested)
                yield from paragraph

    def heading(self, lines: Lines, at: int) -> tuple[str, int] | None:
        line, following = lines[at], lines[at + 1] if at + 1 < len(lines) else ""
        after = lines[at + 2] if at + 2 < len(lines) else ""
        if ADORNMENT.match(line) and following.strip() and ADORNMENT.match(after) and after[0] == line[0]:
            key, text, end = line[0] * 2, following, at + 3
        elif (
            ADORNMENT.match(following)
            and len(following.strip()) + 2 >= len(line.strip())
            and not ADORNMENT.match(line)
        ):
            key, text, end = following[0], line, at + 2
        elif ADORNMENT.match(line) and not following.strip():
            return "", at + 1  # a transition
        else:
            return None
        if key not in self.levels:
            self.levels.append(key)
        self.level = min(self.levels.index(key) + 1, 6)
        return f"{'#' * self.level} {inline(text.strip())}", end

    def explicit(self, line: str, body: Lines, nested: int) -> Iterator[str]:
        """A directive, or a comment, target or footnote (of which nothing is to be read)."""
        found = DIRECTIVE.match(line)
        if not found:
            return
        name, argument = found.group(1), (found.group(2) or "").strip()
        options, body = take_options(body)
        if name in CODE:
            yield from fence("" if " " in argument else argument, body)
        elif name in DROPPED or name.startswith("auto"):
            return
        elif name in NOTES:
            title = "See also" if name == "seealso" else name.capitalize()
            yield from [f"**{title}:**", "", *self.blocks([argument, *body], nested=nested + 1)]
        elif name in VERSIONS:
            version, _, rest = argument.partition(" ")
            yield from [
                f"**{VERSIONS[name]} {version}:**",
                "",
                *self.blocks([rest, *body], nested=nested + 1),
            ]
        elif name == "figure":
            yield from self.blocks(body, nested=nested + 1)
        elif name == "rubric":
            yield f"**{inline(argument)}**"
        elif name in PLAIN:
            title = argument if name in ("admonition", "topic", "sidebar", "tab", "tab-item") else ""
            yield from [f"**{inline(title)}**" if title else "", "", *self.blocks(body, nested=nested + 1)]
        else:
            yield from self.description(name, argument, options, body, nested)

    def description(
        self, name: str, argument: str, options: Lines, body: Lines, nested: int
    ) -> Iterator[str]:
        """A function, class, setting or the like: its signature is a heading, so that it can be found."""
        if not any(line.strip() for line in body):
            return  # a marker such as `.. setting:: DEBUG` above a section of that name
        if argument:
            more = [line.strip() for line in options if not OPTION.match(line.strip())]
            signature = " ".join([argument, *more]).replace("`", "'")
            yield f"{'#' * min(self.level + 1 + nested, 6)} `{signature}`"
        yield from ["", *self.blocks(body, nested=nested + 1)]

    def item(self, lines: Lines, at: int, nested: int) -> tuple[Lines, int]:
        found = ITEM.match(lines[at])
        assert found
        mark = "- " if found.group(1) in "*+-•" else "1. "
        width = found.end()
        body, end = take_indented(lines, at + 1, least=2 if width > 2 else width)
        first = lines[at][width:]
        inner = "\n".join(self.blocks([first, *body], nested=nested + 1)).strip().split("\n")
        pad = " " * len(mark)
        return [mark + inner[0], *(pad + line if line else "" for line in inner[1:])], end

    def paragraph(self, lines: Lines, at: int, nested: int) -> tuple[Lines, int]:
        """A paragraph; with `::` its code; a term with its definition; a field."""
        text, end = take_paragraph(lines, at)
        indented, after = take_indented(lines, end)
        if found := FIELD.match(text[0]):
            body = [found.group(2) or "", *text[1:], *indented]
            value = "\n".join(self.blocks(body, nested=nested + 1)).strip().replace("\n", "\n  ")
            return [f"- **{inline(found.group(1))}** {value}".rstrip()], after
        if text[-1].rstrip().endswith("::"):
            ending = text[-1].rstrip()
            text[-1] = (
                "" if ending == "::" else ending[:-1] if ending[-3:-2].strip() else ending[:-2].rstrip()
            )
            shown = [inline("\n".join(text))] if any(line.strip() for line in text) else []
            return ["", *shown, "", *fence("", indented), ""], after
        if indented and end < len(lines) and lines[end].strip():
            term = inline(" ".join(text))
            return ["", f"**{term.strip('*')}**", "", *self.blocks(indented, nested=nested + 1), ""], after
        return [inline("\n".join(text))], end


def take_paragraph(lines: Lines, at: int) -> tuple[Lines, int]:
    end = at
    while end < len(lines) and lines[end].strip() and (end == at or not lines[end][0].isspace()):
        end += 1
    return lines[at:end], end


def take_indented(lines: Lines, at: int, *, least: int = 1) -> tuple[Lines, int]:
    """The following lines that are indented by `least` or more, dedented, and where they end."""
    end = at
    while end < len(lines) and (not lines[end].strip() or lines[end][:least].isspace()):
        end += 1
    while end > at and not lines[end - 1].strip():
        end -= 1
    block = lines[at:end]
    margin = min((len(line) - len(line.lstrip()) for line in block if line.strip()), default=0)
    return [line[margin:] for line in block], end


def take_options(body: Lines) -> tuple[Lines, Lines]:
    """A directive's options (and further lines of its argument), and its content after them."""
    if body and body[0].strip() and OPTION.match(body[0]):
        end = next((at for at, line in enumerate(body) if not line.strip()), len(body))
        if all(OPTION.match(line) or line.startswith(" ") for line in body[:end]):
            return body[:end], body[end:]
    return [], body


def fence(language: str, body: Lines) -> Lines:
    while body and not body[0].strip():
        body = body[1:]
    while body and not body[-1].strip():
        body = body[:-1]
    ticks = "````" if any("```" in line for line in body) else "```"
    language = language if re.fullmatch(r"[\w+-]*", language) else ""
    return [ticks + language, *body, ticks] if body else []
