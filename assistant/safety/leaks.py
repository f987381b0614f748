"""Whether an answer repeats its instructions: runs of the same words, wherever the cuts fall."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable

from assistant.safety.folding import plain_words

# Ten words in a row are no accident; a Chinese character counts as a word, so there it takes more.
RUN = 10
CHINESE_RUN = 18
_WORD = re.compile(r"[一-鿿]|[^\W_一-鿿]+")


class PromptLeak:
    """Fed with the pieces of one answer, in order."""

    def __init__(self, instructions: str, sources: Iterable[str]) -> None:
        self._runs = _runs(_words(instructions))
        if self._runs:
            for text in sources:
                self._runs -= _runs(_words(text))
        self._recent: deque[str] = deque(maxlen=CHINESE_RUN - 1)

    def is_in(self, piece: str) -> bool:
        if not self._runs:
            return False
        words = [*self._recent, *_words(piece)]
        self._recent.extend(words[-CHINESE_RUN:])
        return not self._runs.isdisjoint(_runs(words))


def _words(text: str) -> list[str]:
    return _WORD.findall(plain_words(text))


def _runs(words: list[str]) -> set[tuple[str, ...]]:
    runs = set()
    for start in range(len(words) - RUN + 1):
        length = CHINESE_RUN if sum(len(word) == 1 for word in words[start : start + RUN]) > RUN // 2 else RUN
        run = tuple(words[start : start + length])
        if len(run) == length:
            runs.add(run)
    return runs
