"""Cases: questions with what is expected of their answers, one JSON object a line.

    {"id": "…", "scenario": "support", "locale": "en", "setup": {}, "turns": [
        {"user": "…", "expect": {"contains_all": [["7", "seven"], ["days"]], "contains_none": ["hours"],
                                 "cites": ["docs/a.md"], "refuses": false, "reference": "…"}}]}

Keys of `expect` and `setup` that are not known here are counted and reported, never fatal: other
scenarios bring their own. `reference` (one text or several) is what BLEU and ROUGE compare with.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KNOWN_EXPECT = {"contains_all", "contains_none", "cites", "refuses", "reference", "references"}


class CasesInvalid(ValueError):
    """The file cannot be used; the message names the line, the value and the remedy."""


@dataclass(frozen=True)
class Expectation:
    """contains_all: each group is met by any one of its alternatives; None where nothing is expected."""

    contains_all: tuple[tuple[str, ...], ...] = ()
    contains_none: tuple[str, ...] = ()
    cites: tuple[str, ...] = ()
    refuses: bool | None = None
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ask:
    user: str
    expect: Expectation


@dataclass(frozen=True)
class Case:
    id: str
    scenario: str
    locale: str
    turns: tuple[Ask, ...]


@dataclass
class CaseFile:
    cases: list[Case] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)


def read_cases(path: Path) -> CaseFile:
    """Raises CasesInvalid."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise CasesInvalid(f"{path} cannot be read: {error.strerror}. Name a file of JSON lines.") from None
    except UnicodeDecodeError:
        raise CasesInvalid(f"{path} is not UTF-8 text. Save it as UTF-8.") from None
    found = CaseFile()
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            case = _case(json.loads(line), number, found.unknown)
        except json.JSONDecodeError as error:
            raise CasesInvalid(f"{path}:{number} is not JSON: {error.msg} at column {error.colno}.") from None
        except CasesInvalid as error:
            raise CasesInvalid(f"{path}:{number}: {error}") from None
        if case.id in seen:
            raise CasesInvalid(f"{path}:{number}: the id {case.id!r} stands on line {seen[case.id]} as well.")
        seen[case.id] = number
        found.cases.append(case)
    if not found.cases:
        raise CasesInvalid(f"{path} holds no case. Write one JSON object a line.")
    return found


def _case(data: Any, number: int, unknown: Counter[str]) -> Case:
    data = _typed(data, dict, "a case")
    turns = _typed(data.get("turns"), list, "turns")
    if not turns:
        raise CasesInvalid("turns is empty: a case asks at least once.")
    for key in sorted(set(data) - {"id", "scenario", "locale", "setup", "turns"}):
        unknown[key] += 1
    for key in _typed(data.get("setup") or {}, dict, "setup"):
        unknown[f"setup.{key}"] += 1
    return Case(
        id=str(data.get("id", f"line-{number}")),
        scenario=_typed(data.get("scenario", "support"), str, "scenario"),
        locale=_typed(data.get("locale", "en"), str, "locale"),
        turns=tuple(_ask(turn, unknown) for turn in turns),
    )


def _ask(data: Any, unknown: Counter[str]) -> Ask:
    data = _typed(data, dict, "a turn")
    user = _typed(data.get("user"), str, "user")
    if not user.strip():
        raise CasesInvalid("user is empty: write the question.")
    expect = _typed(data.get("expect") or {}, dict, "expect")
    for key in sorted(set(expect) - KNOWN_EXPECT):
        unknown[f"expect.{key}"] += 1
    for key in sorted(set(data) - {"user", "expect", "reference", "references"}):
        unknown[f"turn.{key}"] += 1
    refuses = expect.get("refuses")
    if refuses is not None and not isinstance(refuses, bool):
        raise CasesInvalid(f"refuses = {refuses!r} must be true or false.")
    return Ask(
        user=user,
        expect=Expectation(
            contains_all=tuple(_texts(group, "contains_all") for group in _list(expect, "contains_all")),
            contains_none=_texts(expect.get("contains_none"), "contains_none"),
            cites=_texts(expect.get("cites"), "cites"),
            refuses=refuses,
            references=tuple(
                text
                for place in (data, expect)
                for key in ("reference", "references")
                for text in _texts(place.get(key), key)
            ),
        ),
    )


def _list(data: dict[str, Any], key: str) -> Iterable[Any]:
    return _typed(data.get(key) or [], list, key)


def _texts(value: Any, name: str) -> tuple[str, ...]:
    """A text or a list of texts."""
    values = [value] if isinstance(value, str) else _typed(value or [], list, name)
    return tuple(_typed(text, str, name) for text in values)


def _typed(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind):
        word = {"dict": "an object", "list": "a list", "str": "a text"}[kind.__name__]
        raise CasesInvalid(f"{name} = {json.dumps(value, ensure_ascii=False)[:60]} must be {word}.")
    return value
