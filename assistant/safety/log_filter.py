"""Keeps personal data and secrets out of the logs, whatever a library chooses to write there.

A filter on the handlers, because a filter on a logger does not see what its children log.
"""

from __future__ import annotations

import logging
import re
import traceback

from assistant.safety.personal import find

# Secrets that only their place gives away: headers, cookies, query strings.
_PLACED = re.compile(
    r"((?:authorization|cookie|x-csrftoken|sessionid|csrftoken)[\"']?\s{0,2}[:=]\s{0,2}[\"']?"
    r"(?:(?:bearer|visitor|basic) )?"
    r"|(?:bearer|visitor) "
    r"|[?&](?:token|key|code|password|secret|signature|access_token|api_key)=)"
    r"([^\s\"'&,;]{8,4000})",
    re.IGNORECASE,
)


class RedactFilter(logging.Filter):
    """Formats the record, cuts the private parts out of its message and traceback, lets it pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except Exception:  # a broken call of the logger must not stop the request it speaks of
            message = f"{record.msg} (its arguments do not fit)"
        record.msg, record.args = redact_line(message), None
        if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        if record.exc_text:
            record.exc_text = redact_line(record.exc_text)
        return True


def redact_line(text: str) -> str:
    """`text` with `[EMAIL]`, `[KEY]` … in place of what is private. Nothing maps back."""
    text = _PLACED.sub(r"\1[KEY]", text)
    pieces, end = [], 0
    for span in find(text):
        pieces += [text[end : span.start], f"[{span.kind}]"]
        end = span.end
    return "".join([*pieces, text[end:]])
