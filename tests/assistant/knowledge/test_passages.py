"""Articles are cut at headings and between blocks, and anchors agree with the rendered page."""

from __future__ import annotations

import re

from assistant.knowledge.passages import MAX_TOKENS, cut, num_tokens
from assistant.knowledge.rendering import render


def test_a_passage_carries_the_path_of_its_headings() -> None:
    markdown = "# Guide\n\nIntro.\n\n## Install\n\n### On Linux\n\nRun it.\n\n## Use\n\nUse it.\n"
    found = [(draft.headings, draft.anchor, draft.text) for draft in cut(markdown, title="Guide")]
    assert found == [
        ("Guide", "guide", "Intro."),
        ("Guide › Install › On Linux", "on-linux", "Run it."),
        ("Guide › Use", "use", "Use it."),
    ]


def test_code_that_fits_is_never_cut() -> None:
    code = "```python\n" + "\n".join(f"value_{number} = {number}" for number in range(30)) + "\n```"
    filler = "\n\n".join("A sentence about nothing in particular, said once more." for _ in range(20))
    texts = [draft.text for draft in cut(f"# T\n\n{filler}\n\n{code}\n\n{filler}", title="T")]
    assert sum(code in text for text in texts) == 1


def test_long_code_is_cut_at_line_ends_inside_fences() -> None:
    lines = [f"value_{number} = {number}" for number in range(400)]
    texts = [draft.text for draft in cut("# T\n\n```python\n" + "\n".join(lines) + "\n```\n", title="T")]
    assert len(texts) > 3
    assert all(text.startswith("```python\n") and text.endswith("\n```") for text in texts)
    assert [line for text in texts for line in text.split("\n")[1:-1]] == lines


def test_an_introduction_stays_with_what_it_introduces() -> None:
    filler = "Word " * 150
    steps = "\n".join(f"- step {number}" for number in range(3))
    texts = [draft.text for draft in cut(f"# T\n\n{filler}\n\nDo this:\n\n{steps}\n", title="T")]
    assert any("Do this:" in text and "step 0" in text for text in texts)


def test_passages_stay_below_the_limit() -> None:
    prose = " ".join(f"This is sentence number {number} of a long paragraph." for number in range(200))
    assert all(num_tokens(draft.text) <= MAX_TOKENS for draft in cut(f"# T\n\n{prose}", title="T"))


def test_anchors_are_unique_and_those_of_the_page() -> None:
    markdown = "# T\n\n## `run()` & more\n\na\n\n## Notes\n\nb\n\n## Notes\n\nc\n"
    anchors = [draft.anchor for draft in cut(markdown, title="T")]
    assert anchors == ["run--more", "notes", "notes-1"]
    assert set(anchors) <= set(re.findall(r'id="([^"]+)"', render(markdown)))
