"""Origins that may embed a site's widget, as they are written in the console."""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

# Nothing else can stand in a Content-Security-Policy: no space, comma, semicolon, path or wildcard.
ORIGIN = re.compile(
    r"https?://(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?::[0-9]{1,5})?"
)


def is_origin(value: Any) -> bool:
    return isinstance(value, str) and ORIGIN.fullmatch(value) is not None


def validate_origins(value: Any) -> None:
    """A list of origins, each scheme://host or scheme://host:port. Raises ValidationError."""
    if not isinstance(value, list):
        raise ValidationError(_('Write a list, e.g. ["https://shop.example"].'))
    for origin in value:
        if not is_origin(origin):
            raise ValidationError(
                _("%(origin)s is not an origin. Write https://host or https://host:port in lower case."),
                params={"origin": str(origin)[:100]},
            )
