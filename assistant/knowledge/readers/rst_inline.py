"""Inline reStructuredText: roles, references, literals and substitutions become Markdown or plain words."""

from __future__ import annotations

import re

LITERAL = re.compile(r"(?<![`\w])``(.+?)``(?!`)", re.DOTALL)
ROLE = re.compile(r":(?:[\w+-]+:)*([\w+-]+):`([^`]+)`")
LINK = re.compile(r"`([^`<]+?)\s*<([^`>]+)>`__?")
REFERENCE = re.compile(r"`([^`]+)`__?|\b([A-Za-z][\w-]*[A-Za-z0-9])_\b(?![\w`*])")
INTERPRETED = re.compile(r"(?<![`:\w])`([^`]+)`(?![`_\w])")
SUBSTITUTION = re.compile(r"\|([^|\s][^|\n]*?)\|_?")
FOOTNOTE = re.compile(r" ?\[(?:#\w*|\*|\d+)\]_")
TARGET = re.compile(r"^(.*?)\s*<([^<>]*)>$", re.DOTALL)
WORDS = {
    "ref",
    "doc",
    "term",
    "numref",
    "any",
    "pep",
    "rfc",
    "ticket",
    "commit",
    "cve",
    "issue",
    "gh",
    "abbr",
    "title",
}
WORDS |= {"emphasis", "strong", "sup", "sub", "menuselection", "guilabel", "dfn", "download", "eq"}


def inline(text: str) -> str:
    """`text` may span lines of one paragraph. Code is set aside first, so nothing is read in it."""
    kept: list[str] = []

    def keep(value: str) -> str:
        kept.append(value)
        return f"\x00{len(kept) - 1}\x00"

    text = LITERAL.sub(lambda found: keep(code(found.group(1))), text)
    text = ROLE.sub(lambda found: role(found.group(1), found.group(2), keep), text)
    text = LINK.sub(lambda found: link(found.group(1), found.group(2), keep), text)
    text = FOOTNOTE.sub("", text)
    text = REFERENCE.sub(lambda found: found.group(1) or found.group(2), text)
    text = INTERPRETED.sub(lambda found: keep(code(found.group(1))), text)
    text = SUBSTITUTION.sub(r"\1", text)
    text = re.sub(r"\\ |\\(?=\s|$)", "", text)
    text = re.sub(r"\\([^\w\s])", r"\1", text).replace("<", "\\<")
    while "\x00" in text:
        text = re.sub(r"\x00(\d+)\x00", lambda found: kept[int(found.group(1))], text)
    return text


def role(name: str, content: str, keep: object) -> str:
    assert callable(keep)
    content = " ".join(content.split())
    found = TARGET.match(content)
    shown, target = (found.group(1), found.group(2)) if found else (content, content)
    if name in WORDS:
        if name in ("pep", "rfc", "cve") and not found:
            return f"{name.upper()} {content}"
        if name == "ref" and not found:
            return content.replace("-", " ").replace("_", " ")
        return shown.rsplit("/", 1)[-1].replace("-", " ") if name == "doc" and not found else shown
    if not found and shown.startswith("~"):
        shown = shown.rsplit(".", 1)[-1]
    if found and " " in shown:
        return shown
    return str(keep(code(shown.lstrip("!.~") or target)))


def link(shown: str, target: str, keep: object) -> str:
    assert callable(keep)
    is_address = target.startswith(("http://", "https://"))
    return str(keep(f"[{shown}]({target})")) if is_address else shown


def code(text: str) -> str:
    text = " ".join(text.split()).replace("`", "'")
    return f"`{text}`"
