"""The article page shows other people's text safely, with the cited words marked."""

from __future__ import annotations

import pytest

from assistant.knowledge.rendering import render


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "![pixel](https://evil.example/p.png)",
        "[click](javascript:alert(1))",
        "<iframe src='https://evil.example'></iframe>",
        "<svg><style>@import 'https://evil.example'</style></svg>",
    ],
)
def test_hostile_markdown_is_harmless(hostile: str) -> None:
    html = render(f"# T\n\n{hostile}\n")
    assert not any(
        tag in html for tag in ("<script", "<img", "<iframe", "<svg", "<style", 'href="javascript')
    )


def test_the_quoted_words_are_marked_across_markup() -> None:
    html = render("# T\n\nSet `MAX_SIZE` to **five** and restart.\n", quote="Set MAX_SIZE to five")
    marked = html[html.index('<mark id="quote">') : html.rindex("</mark>")]
    assert "MAX_SIZE" in marked
    assert "five" in marked
    assert "restart" not in marked


def test_a_quote_that_is_not_there_changes_nothing() -> None:
    assert render("# T\n\nText.\n", quote="something else entirely") == render("# T\n\nText.\n")


def test_a_quote_cannot_bring_html() -> None:
    assert "<script" not in render("# T\n\nText here.\n", quote="<script>alert(1)</script> Text here")
