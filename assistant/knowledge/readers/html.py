"""HTML by BeautifulSoup: the page's main part, its headings, paragraphs, lists, code and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bs4 import BeautifulSoup, Comment, Doctype, NavigableString, Tag

from assistant.knowledge.readers.document import Document, decode, locale_of

DROPPED = "script,style,noscript,template,nav,header,footer,aside,form,button,svg,iframe,.headerlink,[hidden]"
MAIN = ["main", "[role=main]", "article", "#content", ".document", "body"]
HEADINGS = {f"h{level}": level for level in range(1, 7)}
BLOCKS = {
    "p",
    "div",
    "section",
    "article",
    "main",
    "body",
    "blockquote",
    "dl",
    "dd",
    "figure",
    "center",
    "table",
}
BLOCKS |= {"ul", "ol", "li", "pre", "dt", "details", "summary", "html", "td", "tr", *HEADINGS}


def convert(data: bytes) -> Document:
    soup = BeautifulSoup(decode(data), "lxml")
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    for tag in soup.select(DROPPED):
        tag.decompose()
    main = next((found for name in MAIN if (found := soup.select_one(name))), soup)
    markdown = "\n\n".join(block for block in blocks(main) if block.strip())
    heading = main.find("h1")
    if isinstance(heading, Tag):
        title = heading.get_text(" ", strip=True)
    return Document(title=title, markdown=markdown, locale=locale_of(markdown))


def blocks(node: Tag) -> Iterator[str]:
    """Markdown blocks of a node; loose inline content between blocks makes a paragraph."""
    loose: list[str] = []
    for child in node.children:
        if isinstance(child, Tag) and child.name in BLOCKS:
            yield squeeze("".join(loose))
            loose.clear()
            yield from block(child)
        else:
            loose.append(inline(child))
    yield squeeze("".join(loose))


def block(tag: Tag) -> Iterator[str]:
    if tag.name in HEADINGS:
        yield f"{'#' * HEADINGS[tag.name]} {squeeze(inline(tag))}"
    elif tag.name == "pre":
        yield f"```\n{tag.get_text().strip(chr(10))}\n```"
    elif tag.name in ("ul", "ol"):
        yield "\n".join(items(tag))
    elif tag.name == "table":
        yield table(tag)
    elif tag.name == "dt":
        yield f"**{squeeze(inline(tag))}**"
    else:
        yield from blocks(tag)


def items(tag: Tag) -> Iterator[str]:
    mark = "- " if tag.name == "ul" else "1. "
    for item in tag.find_all("li", recursive=False):
        text = "\n\n".join(part for part in blocks(item) if part.strip())
        if text:
            yield mark + text.replace("\n", "\n" + " " * len(mark))


def table(tag: Tag) -> str:
    rows = [
        [squeeze(cell.get_text(" ")).replace("|", "\\|") for cell in row.find_all(["td", "th"])]
        for row in tag.find_all("tr")
    ]
    rows = [row for row in rows if any(row)]
    if not rows:
        return ""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def inline(node: object) -> str:
    if isinstance(node, Comment | Doctype):
        return ""
    if isinstance(node, NavigableString):
        return re.sub(r"([*_`\[\]<#])", r"\\\1", str(node)) if node.strip() else " "
    if not isinstance(node, Tag):
        return ""
    if node.name in ("code", "kbd", "tt", "samp"):
        text = node.get_text().strip().replace("`", "'")
        return f"`{text}`" if text else ""
    text = "".join(inline(child) for child in node.children)
    if node.name == "br":
        return "\n"
    if node.name in ("strong", "b") and text.strip():
        return f"**{text.strip()}**"
    if node.name == "a" and str(node.get("href", "")).startswith(("http://", "https://")) and text.strip():
        return f"[{text.strip()}]({node['href']})"
    return text


def squeeze(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
