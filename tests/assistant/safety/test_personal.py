from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.safety import personal
from assistant.safety.placeholders import redact
from tests.assistant.safety.hostile import HOSTILE


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("EMAIL", "write to john.doe+x@mail.example.co.uk.", "john.doe+x@mail.example.co.uk"),
        ("EMAIL", "我的邮箱是zhang@example.com。", "zhang@example.com"),
        ("EMAIL", "jürgen@müller.de", "jürgen@müller.de"),
        ("EMAIL", "jo​hn@exa​mple.com", "jo​hn@exa​mple.com"),
        ("PHONE", "call +44 20 7946 0958 please", "+44 20 7946 0958"),
        ("PHONE", "call (415) 555-2671", "(415) 555-2671"),
        ("PHONE", "我的手机13812345678，谢谢", "13812345678"),
        ("PHONE", "my phone is 4155552671", "4155552671"),
        ("CARD", "card 4111 1111 1111 1111, thanks", "4111 1111 1111 1111"),
        ("CARD", "５５００００００００００００４", "５５００００００００００００４"),
        ("IBAN", "pay to DE89 3704 0044 0532 0130 00 now", "DE89 3704 0044 0532 0130 00"),
        ("IBAN", "gb33bukb20201555555555", "gb33bukb20201555555555"),
        ("ID", "ssn 536-90-4399", "536-90-4399"),
        ("ID", "身份证号11010519491231002X。", "11010519491231002X"),
        ("ID", "mi dni es 54362315-K", "54362315-K"),
        ("ID", "my NHS number is 943 476 5870", "943 476 5870"),
        ("KEY", "key AKIAIOSFODNN7EXAMPLE here", "AKIAIOSFODNN7EXAMPLE"),
        ("KEY", "ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
        ("KEY", "sk-proj-abcdefghijklmnopqrstuvwxyz123456", "sk-proj-abcdefghijklmnopqrstuvwxyz123456"),
        ("KEY", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", None),
        ("KEY", "my password is hunter2!", "hunter2!"),
        ("KEY", "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----", None),
        ("KEY", "-----BEGIN PRIVATE KEY-----\nMIIEow and cut off", None),
    ],
)
def test_personal_data_is_found_whole(kind: str, text: str, value: str | None) -> None:
    spans = personal.find(text)
    assert [(span.kind, span.value) for span in spans] == [(kind, value or text)]


@pytest.mark.parametrize(
    "text",
    [
        "on 2024-01-15 10:30:00 it was version 1.2.3.4",
        "192.168.100.200:8080 and port 8000",
        "2,000 pages, 491,400,064 bytes",
        "sha256 1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        "order 2025550123",
        "4111 1111 1111 1112 breaks the check digit",
        "DE89 3704 0044 0532 0130 03",
        "password: required",
        "my password is wrong",
        "arXiv:2306.13649, 10.5281/zenodo.1234567",
        "0.26 1.57 3.14 2.69 11.8 28.3",
        "@property and user@ and @home",
        "110105194912310021",
        "5f3759df-1c2b-4f7a-9e0d-123456789012",
    ],
)
def test_numbers_that_only_look_personal_stay(text: str) -> None:
    assert personal.find(text) == []


def test_only_the_kinds_of_the_policy_are_redacted() -> None:
    assert redact("a@b.example, 4111 1111 1111 1111", kinds=("CARD",)).text == "a@b.example, [CARD_1]"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_read_in_bounded_time(name: str) -> None:
    started = time.perf_counter()
    redact(HOSTILE[name])
    assert time.perf_counter() - started < 0.25


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_spans_always_point_into_the_text_that_was_searched(text: str) -> None:
    text = f"{text} a@b.example {text}"
    spans = personal.find(text)
    assert all(text[span.start : span.end] == span.value for span in spans)
    assert all(one.end <= other.start for one, other in pairwise(spans))
