"""The right sentence is quoted, word for word, with what it needs to be understood."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.knowledge.models import Passage
from assistant.knowledge.search import Hit
from assistant.support import quotation

TEXT = """Backups are kept for a week. They are compressed by the worker.

Run this command every night:

```console
shopctl backup
```

- first point
- second point with `code`
"""


@pytest.fixture
def hits() -> list[Hit]:
    return [Hit(Passage(headings="Shop › Backups", text=TEXT), 1.0, 1.0, 0.5)]


def pick(hits: list[Hit], asked: str, *, max_characters: int = 10) -> str:
    units = quotation.units_of(hits)
    weights = dict.fromkeys(quotation.stems(asked), 1.0)
    ranked = quotation.score(units, hits, weights, np.zeros(4, dtype=np.float32), {})
    return quotation.choose(units, ranked, max_characters=max_characters).text


def test_a_passage_is_taken_apart_into_sentences_code_and_items(hits: list[Hit]) -> None:
    units = quotation.units_of(hits)
    assert [unit.kind for unit in units] == ["sentence", "sentence", "sentence", "code", "item", "item"]


def test_the_sentence_with_the_asked_words_is_quoted(hits: list[Hit]) -> None:
    assert pick(hits, "how long kept week") == "Backups are kept for a week."


def test_an_announcement_is_quoted_with_what_it_announces(hits: list[Hit]) -> None:
    assert pick(hits, "command night").endswith("```console\nshopctl backup\n```")


def test_a_sentence_that_points_back_is_quoted_with_the_one_before(hits: list[Hit]) -> None:
    assert (
        pick(hits, "compressed worker") == "Backups are kept for a week. They are compressed by the worker."
    )


def test_every_quotation_stands_in_its_passage(hits: list[Hit]) -> None:
    quoted = pick(hits, "point code", max_characters=500)
    assert all(line in TEXT for line in quoted.split("\n"))


def test_long_code_is_shortened_by_whole_lines() -> None:
    code = "```\n" + "\n".join(f"line {number}" for number in range(100)) + "\n```"
    short = quotation.shorten(code)
    assert short.startswith("```\nline 0\n")
    assert short.endswith("\n```")
    assert short.count("\n") == quotation.MAX_CODE_LINES + 1


def test_embeddings_of_units_are_remembered_up_to_a_limit() -> None:
    remembered = quotation.Remembered(size=2)
    remembered.add({name: np.ones(4, dtype=np.float32) for name in ("a", "b", "c")})
    assert set(remembered.get(["a", "b", "c"])) == {"b", "c"}


def test_a_row_of_a_table_is_quoted_as_a_line_that_can_be_read() -> None:
    table = "| Setting | Default |\n| --- | --- |\n| `MAX_SIZE` | 5 MB |"
    assert quotation.rows_of(table) == ["- Setting · Default", "- `MAX_SIZE` · 5 MB"]


def test_a_link_to_a_neighbouring_file_is_quoted_as_its_words() -> None:
    text = "See [the protocol](docs/protocol.md#hello) and [the code](https://example.org/x)."
    unit = quotation.Unit(0, 0, "sentence", text)
    assert quotation.join([unit]) == "See the protocol and [the code](https://example.org/x)."
