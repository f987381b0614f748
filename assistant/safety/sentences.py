"""Where a stream of text may be cut so that each piece can be judged: sentences, list items, table rows,
lines of code. Knows English and Chinese punctuation, abbreviations, decimals and addresses.
"""

from __future__ import annotations

import re

# A piece this long without an end is cut at a space: nothing may be held back for ever.
MAX_PIECE = 600

_ABBREVIATIONS = frozenset(
    """e.g i.e etc vs cf approx no nos fig eq sec ch vol p pp ed eds al inc ltd co corp dept est st mr mrs ms
    dr prof sr jr jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun min max incl
    """.split()  # noqa: SIM905
)
_CLOSING = "\"'”’)]}»」』】）》*_`"
_END = re.compile(rf"[.!?][{re.escape(_CLOSING)}]*(?=\s)|[。！？；…]+[{re.escape(_CLOSING)}]*")
_LAST_WORD = re.compile(r"[\w.]*\Z")
_LIST_NUMBER = re.compile(r"\s*(?:\d{1,3}|[a-zA-Z])\Z")
_FENCE = re.compile(r"\s*(```|~~~)")


class Splitter:
    """Cuts deltas into pieces; `feed` gives those that are whole, `finish` the rest. Nothing is lost:
    the pieces joined are the deltas joined."""

    def __init__(self) -> None:
        self._held = ""
        self._at_line_start = True
        self.is_in_code = False

    def feed(self, delta: str) -> list[str]:
        self._held += delta
        pieces = []
        while (cut := self._next_cut()) > 0:
            pieces.append(self._take(cut))
        return pieces

    def finish(self) -> list[str]:
        return [self._take(len(self._held))] if self._held else []

    def _take(self, cut: int) -> str:
        piece, self._held = self._held[:cut], self._held[cut:]
        if self._at_line_start and _FENCE.match(piece):
            self.is_in_code = not self.is_in_code
        self._at_line_start = piece.endswith("\n")
        return piece

    def _next_cut(self) -> int:
        """Where the first whole piece ends; 0 if more must come first."""
        line_end = self._held.find("\n") + 1
        line = self._held[: line_end or len(self._held)]
        is_code = self.is_in_code or (self._at_line_start and _FENCE.match(line) is not None)
        if not is_code:
            for match in _END.finditer(line):
                # The last character may be half of something: "3." of "3.5", "。" before "”".
                if match.end() == len(line) and not line_end:
                    break
                if self._is_sentence_end(line, match):
                    spaces = len(line[match.end() :]) - len(line[match.end() :].lstrip(" \t"))
                    return match.end() + spaces
        if line_end:
            return line_end
        if len(self._held) > MAX_PIECE:
            space = self._held.rfind(" ", 0, MAX_PIECE)
            return space + 1 if space > 0 else MAX_PIECE
        return 0

    @staticmethod
    def _is_sentence_end(line: str, match: re.Match[str]) -> bool:
        if line[match.start()] != ".":
            return True
        before = line[: match.start()]
        found = _LAST_WORD.search(before)
        word = found[0].lower() if found else ""
        if word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha() and word != "i"):
            return False
        return not _LIST_NUMBER.fullmatch(before)
