from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.safety.placeholders import StreamRestorer, redact, restore

TEXT = "I am a@b.example, call +44 20 7946 0958 or write to a@b.example or c@d.example."


def test_the_model_sees_placeholders_and_the_owner_the_values() -> None:
    redacted = redact(TEXT)
    assert redacted.text == "I am [EMAIL_1], call [PHONE_1] or write to [EMAIL_1] or [EMAIL_2]."
    assert restore(redacted.text, redacted.private) == TEXT


def test_numbering_goes_on_through_a_conversation() -> None:
    known = redact("I am a@b.example").private
    redacted = redact("Not a@b.example but c@d.example", known=known)
    assert redacted.text == "Not [EMAIL_1] but [EMAIL_2]"


def test_a_placeholder_typed_by_hand_is_never_given_a_value() -> None:
    redacted = redact("[EMAIL_1] is not a@b.example")
    assert redacted.text == "[EMAIL_1] is not [EMAIL_2]"
    assert restore(redacted.text, redacted.private) == "[EMAIL_1] is not a@b.example"


def test_foreign_placeholders_stay() -> None:
    assert restore("[EMAIL_7] [NAME_1] [1]", {"[EMAIL_1]": "x"}) == "[EMAIL_7] [NAME_1] [1]"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 100])
def test_a_placeholder_split_over_deltas_is_restored(size: int) -> None:
    redacted = redact(TEXT)
    text = redacted.text + " See [1] and a[i] and [EMA"
    restorer = StreamRestorer(redacted.private)
    shown = "".join(restorer.feed(text[at : at + size]) for at in range(0, len(text), size))
    assert shown + restorer.finish() == TEXT + " See [1] and a[i] and [EMA"


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="[]EMAIL_1a ", max_size=60), st.integers(1, 7))
def test_streamed_and_whole_restoration_agree(text: str, size: int) -> None:
    private = {"[EMAIL_1]": "x@y.example", "[ID_1]": "9"}
    restorer = StreamRestorer(private)
    shown = "".join(restorer.feed(text[at : at + size]) for at in range(0, len(text), size))
    assert shown + restorer.finish() == restore(text, private)
