"""Origins as they are written in the console."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from assistant.widget.origins import is_origin, validate_origins


@pytest.mark.parametrize(
    "origin",
    ["https://shop.example", "http://localhost:8080", "https://a-b.c1.example", "http://127.0.0.1:1"],
)
def test_an_origin_is_scheme_host_and_port(origin: str) -> None:
    assert is_origin(origin)


@pytest.mark.parametrize(
    "value",
    [
        "*",
        "https://*.example",
        "https://shop.example/",
        "shop.example",
        "https://shop.example; script-src *",
        "https://shop.example\nX: y",
        "https://shop.example, https://evil.example",
        "javascript://shop.example",
        "'unsafe-inline'",
        "https://-shop.example",
        "https://käse.example",
        "",
        7,
        None,
    ],
)
def test_anything_else_is_not(value: object) -> None:
    assert not is_origin(value)
    with pytest.raises(ValidationError):
        validate_origins([value])


@pytest.mark.parametrize("value", ["https://shop.example", {"https://shop.example": 1}, None])
def test_origins_are_a_list(value: object) -> None:
    with pytest.raises(ValidationError):
        validate_origins(value)
