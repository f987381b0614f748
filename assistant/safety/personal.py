"""Personal data in a text: where it stands and of what kind. Formats are proved by libraries that know
them (phonenumbers, python-stdnum), not by their looks.

Kinds: EMAIL, PHONE, CARD, IBAN, ID (national numbers), KEY (API keys, tokens, passwords, private keys).
Names and postal addresses are not found. Every pattern is bounded or starts only where a token starts,
so that hostile text costs no more than honest text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from stdnum import iban, luhn

from assistant.safety.folding import fold
from assistant.safety.personal_kinds import NATIONAL_IDS

KINDS = ("KEY", "EMAIL", "IBAN", "ID", "CARD", "PHONE")
# Proving a phone number takes some 0.05 ms. A text with more candidates than this is no question:
# the rest is taken for phone numbers unproved.
MAX_PROVED_PHONES = 20
MAX_PROVED_IBANS = 200

_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]{0,8000}?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)"
    r"|(?<![\w-])(?:"
    r"(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}(?![\w-])"
    r"|gh[pousr]_[A-Za-z0-9]{30,255}"
    r"|github_pat_[A-Za-z0-9_]{22,255}"
    r"|glpat-[\w-]{20,100}"
    r"|(?:sk|pk|rk)[-_](?:[A-Za-z]{2,10}[-_]){0,2}[A-Za-z0-9_-]{20,255}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,255}"
    r"|AIza[\w-]{35}"
    r"|hf_[A-Za-z0-9]{30,60}"
    r"|pypi-[\w-]{50,255}"
    r"|eyJ[\w-]{8,2000}\.[\w-]{8,4000}\.[\w-]{8,1000}"
    r")",
    re.ASCII,
)
# A secret named as one: it holds a digit or a sign besides letters, so "password: required" stays.
_NAMED_SECRET = re.compile(
    r"(?:password|passwd|passphrase|api[ _-]?key|secret[ _-]?key|access[ _-]?key|auth[ _-]?token"
    r"|密码|口令|密钥)"
    r"(?:\s{0,3}(?:is|was|=|:|是|为)\s{0,3})[\"'`]?"
    r"((?=[^\s\"'`,;，。；]{0,99}[\d!@#$%^&*+/=])[^\s\"'`,;，。；]{6,100})",
    re.IGNORECASE,
)
_DOMAIN = re.compile(r"@[A-Za-zÀ-ɏ0-9-]{1,63}(?:\.[A-Za-zÀ-ɏ0-9-]{1,63}){0,4}\.[A-Za-z]{2,24}(?![A-Za-z0-9])")
_IBAN = re.compile(r"(?<![^\W_])[A-Za-z]{2}\d{2}(?=[A-Za-z0-9 -]{11})(?:[ -]?[A-Za-z0-9]){11,30}", re.ASCII)
_CARD = re.compile(r"(?<![\w.-])[2-6](?:[ \n-]?\d){12,18}(?![\w-])", re.ASCII)
_PHONE = re.compile(r"(?<![\w.+/:-])(?:\+|00)?(?:\(\d{1,5}\)|\d)(?:[ .()/-]{0,2}\d){6,15}(?![\w-])", re.ASCII)
_NOT_PHONE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}"  # dates
    r"|\d{1,3}(?:\.\d{1,3}){3}|\d+(?:\.\d+){1,3}\Z"  # addresses, versions, decimals
)
_PHONE_HINT = re.compile(
    r"phone|mobile|\bcell\b|\btel\b|call me|whatsapp|wechat|电话|手机|致电|微信|号码", re.IGNORECASE
)
_CHINESE_MOBILE = re.compile(r"1[3-9]\d{9}")
_REGIONS = {"zh": ("CN",), "de": ("DE",), "fr": ("FR",), "es": ("ES",), "it": ("IT",), "ja": ("JP",)}


@dataclass(frozen=True)
class Span:
    """`start` and `end` count characters of the text that was searched."""

    kind: str
    start: int
    end: int
    value: str


def find(text: str, *, locale: str = "en", kinds: Iterable[str] = KINDS) -> list[Span]:
    """Personal data in `text`, in order, without overlaps (the kind named first in KINDS wins)."""
    folded = fold(text)
    wanted = set(kinds)
    is_taken = bytearray(len(folded.text))
    claimed: list[tuple[str, int, int]] = []
    for kind in KINDS:
        if kind not in wanted:
            continue
        for start, end in _FINDERS[kind](folded.text, locale):
            if not any(is_taken[start:end]):
                is_taken[start:end] = b"\x01" * (end - start)
                claimed.append((kind, start, end))
    spans = [(kind, *folded.span(start, end)) for kind, start, end in claimed]
    return [Span(kind, start, end, text[start:end]) for kind, start, end in sorted(spans, key=lambda s: s[1])]


def canonical(value: str) -> str:
    """One form for all ways to write the same number or address."""
    return re.sub(r"[\s().\-+]", "", fold(value).text).lower()


def values_in(texts: Iterable[str], *, locale: str = "en") -> set[str]:
    """Canonical forms of all personal data in `texts`: what an answer drawn from them may repeat."""
    return {canonical(span.value) for text in texts for span in find(text, locale=locale)}


def _keys(text: str, locale: str) -> Iterator[tuple[int, int]]:
    for match in _KEY.finditer(text):
        yield match.span()
    for match in _NAMED_SECRET.finditer(text):
        yield match.span(1)


def _emails(text: str, locale: str) -> Iterator[tuple[int, int]]:
    at = text.find("@")
    while at >= 0:
        start = at
        while start > 0 and at - start < 64 and _may_stand_in_local_part(text[start - 1]):
            start -= 1
        while start < at and text[start] in ".-+'":
            start += 1
        domain = _DOMAIN.match(text, at)
        if domain and start < at:
            yield start, domain.end()
        at = text.find("@", at + 1)


def _may_stand_in_local_part(char: str) -> bool:
    return char in "._%+-'" or (char.isalnum() and ord(char) < 0x250)


def _ibans(text: str, locale: str) -> Iterator[tuple[int, int]]:
    num_tried = 0
    for match in _IBAN.finditer(text):
        if not any(char.isdigit() for char in match[0][4:]):
            continue
        # Words may follow the number: try its groups, longest first.
        ends = [match.start() + found.end() for found in re.finditer(r"[A-Za-z0-9]+", match[0])]
        for end in reversed(ends[-12:]):
            num_tried += 1
            if num_tried > MAX_PROVED_IBANS:
                return
            if end - match.start() >= 15 and iban.is_valid(text[match.start() : end]):
                yield match.start(), end
                break


def _cards(text: str, locale: str) -> Iterator[tuple[int, int]]:
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if len(set(digits)) > 1 and luhn.is_valid(digits):
            yield match.span()


def _national_ids(text: str, locale: str) -> Iterator[tuple[int, int]]:
    if not any(char.isdigit() for char in text):
        return
    for kind in NATIONAL_IDS:
        if kind.hint is not None and not kind.hint.search(text):
            continue
        for match in kind.pattern.finditer(text):
            if kind.is_valid(match[0]):
                yield match.span()


def _phones(text: str, locale: str) -> Iterator[tuple[int, int]]:
    regions = _REGIONS.get(locale.split("-")[0].lower(), ("US", "GB"))
    num_proved = 0
    for match in _PHONE.finditer(text):
        if _NOT_PHONE.match(match[0]):
            continue
        num_proved += 1
        hint = text[max(0, match.start() - 40) : match.start()]
        if num_proved > MAX_PROVED_PHONES or _is_phone(match[0], regions, bool(_PHONE_HINT.search(hint))):
            yield match.span()


@lru_cache(maxsize=1024)
def _is_phone(written: str, regions: tuple[str, ...], is_hinted: bool) -> bool:
    if written.startswith(("+", "00")):
        return _is_valid_number("+" + written.lstrip("+0"), None)
    if written.isdigit():
        # Order numbers and ports are bare digits too; only a mobile's own form, or a word, tells.
        if _CHINESE_MOBILE.fullmatch(written):
            return True
        if not is_hinted:
            return False
    return any(_is_valid_number(written, region) for region in (*regions, "CN"))


def _is_valid_number(written: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(written, region))
    except phonenumbers.NumberParseException:
        return False


_FINDERS = {
    "KEY": _keys,
    "EMAIL": _emails,
    "IBAN": _ibans,
    "ID": _national_ids,
    "CARD": _cards,
    "PHONE": _phones,
}
