"""An article as safe HTML: markdown-it-py, then nh3, with an anchor at every heading.

The text is other people's: no raw HTML, no scripts, no remote images. A quotation that a citation points
to is highlighted where it stands.
"""

from __future__ import annotations

import re

import nh3

from assistant.knowledge.passages import Anchors, parser, plain

TAGS = {
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "p",
    "a",
    "strong",
    "em",
    "code",
    "pre",
    "ul",
    "ol",
    "li",
    "blockquote",
}
TAGS |= {"table", "thead", "tbody", "tr", "th", "td", "hr", "br", "mark"}
ATTRIBUTES = {"a": {"href", "title"}, "code": {"class"}, "ol": {"start"}, "mark": {"id"}}
ATTRIBUTES |= {f"h{level}": {"id"} for level in range(1, 7)}


def render(markdown: str, *, quote: str = "") -> str:
    """HTML that may be marked safe. `quote`: text of the article to highlight, as the citation has it."""
    tokens = parser.parse(markdown)
    anchors = Anchors()
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", anchors.add(plain(tokens[at + 1].content)))
    html = nh3.clean(
        parser.renderer.render(tokens, parser.options, {}),
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return highlight(html, quote) if quote else html


def highlight(html: str, quote: str) -> str:
    """Mark the quoted words, block by block; markup may stand between them. Unchanged when not found."""
    words = re.findall(r"\w+", plain(re.sub(r"^```.*$|^[-*+>|] ?", "", quote, flags=re.MULTILINE)))[:80]
    if len(words) < 2:
        return html
    gap = r"(?:&[a-z#0-9]+;|</?(?:code|em|strong|a)\b[^>]*>|[^<\w])*?"
    pattern = re.compile(gap.join(re.escape(word) for word in words[:12]))
    found = pattern.search(html)
    if not found or is_inside_tag(html, found.start()):
        return html
    end = found.end()
    for word in words[12:]:
        following = re.compile(gap + re.escape(word)).match(html, end)
        if not following:
            break
        end = following.end()
    marked = re.sub(r"(<[^>]+>)", r"</mark>\1<mark>", html[found.start() : end])
    return f'{html[: found.start()]}<mark id="quote">{marked}</mark>{html[end:]}'.replace("<mark></mark>", "")


def is_inside_tag(html: str, at: int) -> bool:
    return html.rfind("<", 0, at) > html.rfind(">", 0, at)
