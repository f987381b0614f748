"""Whether a turn is as expected: what the answer says, what it cites, and its recorded outcome."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from assistant.support.evaluation.cases import Expectation
from assistant.support.evaluation.driver import Answered

_SPACES = re.compile(r"\s+")
_MARKUP = re.compile(r"[*_`]+")


@dataclass(frozen=True)
class Score:
    """`is_right` leaves citations aside: they have a figure of their own, `cites_right` (None: not asked)."""

    is_scored: bool
    is_right: bool
    is_refusal_expected: bool
    is_refused: bool
    cites_right: bool | None
    failures: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The failure's kind, for sorting; empty when the turn is right."""
        if self.is_right:
            return "" if self.cites_right is not False else "wrong citation"
        if self.is_refusal_expected:
            return "missed refusal"
        return "false refusal" if self.is_refused else "wrong answer"


def score(expect: Expectation, answered: Answered) -> Score:
    text = plain(answered.answer)
    is_refused = answered.outcome == "refused"
    failures = [answered.error] if answered.error else []
    failures += [
        f"says none of: {' | '.join(group)}"
        for group in expect.contains_all
        if not any(plain(alternative) in text for alternative in group)
    ]
    failures += [f"says: {words}" for words in expect.contains_none if plain(words) in text]
    if expect.refuses is not None and expect.refuses != is_refused:
        failures.append(f"outcome is {answered.outcome or 'none'}")
    elif is_refused and not expect.refuses and expect.contains_all:
        failures.append("refused")
    return Score(
        is_scored=bool(expect.contains_all or expect.contains_none or expect.refuses is not None),
        is_right=not failures,
        is_refusal_expected=bool(expect.refuses),
        is_refused=is_refused,
        cites_right=_cites(expect.cites, answered) if expect.cites else None,
        failures=failures,
    )


def _cites(endings: tuple[str, ...], answered: Answered) -> bool:
    """Met by any one cited article whose path ends in any one of `endings`."""
    paths = [str(citation.get("path", "")) for citation in answered.citations]
    return any(path.endswith(ending) for path in paths for ending in endings)


def plain(text: str) -> str:
    """For comparing: one Unicode form, lower case, no markup, single spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return _SPACES.sub(" ", _MARKUP.sub("", folded)).strip()
