from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
from django.conf import settings

from assistant.safety.log_filter import RedactFilter


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactFilter())
    logger = logging.getLogger("redaction")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


def test_personal_data_in_a_message_or_its_arguments_is_cut_out(lines: io.StringIO) -> None:
    logging.getLogger("redaction.child").warning("from %s: my card is 4111 1111 1111 1111", "a@b.example")
    assert lines.getvalue() == "from [EMAIL]: my card is [CARD]\n"


def test_personal_data_in_a_traceback_is_cut_out(lines: io.StringIO) -> None:
    try:
        raise ValueError("cannot parse a@b.example")
    except ValueError:
        logging.getLogger("redaction").exception("failed")
    assert "a@b.example" not in lines.getvalue()
    assert "cannot parse [EMAIL]" in lines.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdef123456",
        "{'Cookie': 'sessionid=abcdef123456'}",
        "GET /chat/?token=abcdef123456&x=1",
        "Visitor abcdef123456",
    ],
)
def test_secrets_known_by_their_place_are_cut_out(lines: io.StringIO, text: str) -> None:
    logging.getLogger("redaction").warning(text)
    assert "abcdef123456" not in lines.getvalue()


def test_a_broken_log_call_is_logged_all_the_same(lines: io.StringIO) -> None:
    logging.getLogger("redaction").warning("%d apples", "many")
    assert "do not fit" in lines.getvalue()


def test_every_handler_of_the_settings_has_the_filter() -> None:
    assert all("redact" in handler["filters"] for handler in settings.LOGGING["handlers"].values())
