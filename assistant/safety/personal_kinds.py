"""National numbers that identify a person: how each is written, and which python-stdnum module proves it.

Where the written form is distinctive it is looked for everywhere. Bare runs of digits are taken only
near a word that names them: one number in ten or eleven passes a check digit by chance.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class NationalId:
    module: str
    pattern: re.Pattern[str]
    hint: re.Pattern[str] | None = None

    @cached_property
    def validator(self) -> Any:
        return import_module(f"stdnum.{self.module}")

    def is_valid(self, value: str) -> bool:
        return bool(self.validator.is_valid(value))


def _number(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])", re.ASCII)


def _hint(words: str) -> re.Pattern[str]:
    return re.compile(words, re.IGNORECASE)


NATIONAL_IDS: tuple[NationalId, ...] = (
    NationalId("us.ssn", _number(r"\d{3}-\d{2}-\d{4}")),
    NationalId("us.ssn", _number(r"\d{3} ?\d{2} ?\d{4}"), _hint(r"\bssn\b|social security")),
    NationalId("cn.ric", _number(r"\d{17}[\dXx]")),
    NationalId("es.dni", _number(r"\d{8}-?[A-HJ-NP-TV-Za-hj-np-tv-z]")),
    NationalId("es.nie", _number(r"[XYZxyz]-?\d{7}-?[A-Za-z]")),
    NationalId("it.codicefiscale", _number(r"[A-Za-z]{6}\d{2}[A-Za-z]\d{2}[A-Za-z]\d{3}[A-Za-z]")),
    NationalId("fr.nir", _number(r"[12] ?\d{2} ?\d{2} ?\d{2} ?\d{3} ?\d{3} ?\d{2}")),
    NationalId("fi.hetu", _number(r"\d{6}[-+A]\d{3}[0-9A-Y]")),
    NationalId("se.personnummer", _number(r"(?:\d{2})?\d{6}[-+]\d{4}")),
    NationalId("ch.ssn", _number(r"756\.?\d{4}\.?\d{4}\.?\d{2}")),
    NationalId("be.nn", _number(r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}")),
    NationalId("br.cpf", _number(r"\d{3}\.\d{3}\.\d{3}-\d{2}")),
    NationalId("kr.rrn", _number(r"\d{6}-\d{7}")),
    NationalId("in_.pan", _number(r"[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z]")),
    NationalId("mx.curp", _number(r"[A-Z]{4}\d{6}[HM][A-Z]{5}[0-9A-Z]\d")),
    NationalId("in_.aadhaar", _number(r"\d{4} ?\d{4} ?\d{4}"), _hint(r"aadhaa?r")),
    NationalId("gb.nhs", _number(r"\d{3} ?\d{3} ?\d{4}"), _hint(r"\bnhs\b")),
    NationalId("de.idnr", _number(r"\d{2} ?\d{3} ?\d{3} ?\d{3}"), _hint(r"steuer|\btax\b|idnr")),
    NationalId("nl.bsn", _number(r"\d{4}\.?\d{2}\.?\d{3}"), _hint(r"\bbsn\b|burgerservice")),
    NationalId("pl.pesel", _number(r"\d{11}"), _hint(r"pesel")),
    NationalId("br.cpf", _number(r"\d{11}"), _hint(r"\bcpf\b")),
    NationalId("ca.sin", _number(r"\d{3}[ -]?\d{3}[ -]?\d{3}"), _hint(r"\bsin\b|social insurance")),
    NationalId("au.tfn", _number(r"\d{3} ?\d{3} ?\d{2,3}"), _hint(r"\btfn\b|tax file")),
)
