"""What a client can do wrong, or come upon. `code` is the protocol's word for it."""

from __future__ import annotations


class Refused(Exception):
    """A request that will not be served. The message is for people: what was seen, why, what to do."""

    code = "bad_request"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotFound(Refused):
    """There is no such thing, or it is somebody else's: the answer is the same."""

    code = "not_found"


class Forbidden(Refused):
    code = "forbidden"


class Busy(Refused):
    """The conversation is still answering."""

    code = "busy"


class TooLarge(Refused):
    code = "too_large"


class BadText(Refused):
    code = "bad_text"


class TooOften(Refused):
    code = "rate_limited"
