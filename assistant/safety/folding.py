"""Text as the checks read it: disguises taken off, each character still traceable to where it stood.

NFKC (full-width digits, ligatures), invisible characters dropped, letters of other scripts that look
Latin replaced by the Latin ones. Only for matching: what is stored and shown is cut from the original.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

# Cyrillic, Greek and Armenian letters that are drawn like Latin ones (after Unicode TR39, the common part).
_LOOKALIKES = dict(
    zip(
        "аАвВсСеЕнНіІїЇјЈкКмМоОрРѕЅтТуУхХԁԛԝզոսհցօ" + "αΑΒεΕΗιΙκΚΜνΝοΟρΡΤυΥχΧΖ",
        "aABBcCeEHHiIiIjJkKmMoOpPsStTyYxXdqwqnuhgo" + "aABeEHiIkKMvNoOpPTuYxXZ",
        strict=True,
    )
)
_SPACED_LETTERS = re.compile(r"(?<![^\W_])(?:[^\W_][ .\-_*·]){2,60}[^\W_](?![^\W_])")
_SEPARATORS = re.compile(r"[ .\-_*·]")
_SPACES = re.compile(r"\s+")


class _Fold(dict[str, str]):
    """Folded forms, worked out once for each character seen."""

    def __missing__(self, char: str) -> str:
        if unicodedata.category(char) in ("Cf", "Mn", "Me"):
            folded = ""
        else:
            folded = "".join(_LOOKALIKES.get(part, part) for part in unicodedata.normalize("NFKC", char))
        if len(self) < 20_000:
            self[char] = folded
        return folded


_fold = _Fold()


@dataclass(frozen=True)
class Folded:
    """`text` for matching; `offsets[i]` is where its i-th character came from (None: unmoved)."""

    text: str
    original: str
    offsets: list[int] | None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The piece of the original that `text[start:end]` was made from."""
        if self.offsets is None:
            return start, end
        return self.offsets[start], self.offsets[end - 1] + 1


def fold(text: str) -> Folded:
    if text.isascii():
        return Folded(text, text, None)
    pieces = [_fold[char] for char in text]
    folded = "".join(pieces)
    if len(folded) == len(text) and all(pieces):
        return Folded(folded, text, None)
    offsets = [index for index, piece in enumerate(pieces) for _ in piece]
    return Folded(folded, text, offsets)


def plain_words(text: str) -> str:
    """For rules about meaning: folded, lower case, single spaces, `i g n o r e` joined to `ignore`."""
    folded = fold(text).text.lower().replace("’", "'")
    # Where letters are spaced out, words are parted by more: a single separator joins, two do not.
    joined = _SPACED_LETTERS.sub(lambda match: _SEPARATORS.sub("", match[0]), folded)
    return _SPACES.sub(" ", joined)
