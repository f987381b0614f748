"""Which Origin is our own (S1)."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from assistant.accounts.origins import is_own_origin


@pytest.fixture(autouse=True)
def _hosts(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["chat.example", "localhost"]
    settings.PUBLIC_URL = ""


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://chat.example", "chat.example"),
        ("https://chat.example:443", "chat.example"),
        ("http://localhost:8000", "localhost:8000"),
    ],
)
def test_the_page_of_the_same_host_is_our_own(origin: str, host: str) -> None:
    assert is_own_origin(origin, host)


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "https://evil.example",
        "https://chat.example.evil.example",
        "https://chat.example@evil.example",
        "https://chat.example:8443",
        "file://chat.example",
        "https://chat.example/path",
        "https://chat.example:port",
        "https://[::1",
    ],
)
def test_any_other_origin_is_foreign(origin: str | None) -> None:
    assert not is_own_origin(origin, "chat.example")


def test_a_rebound_name_is_foreign_though_origin_and_host_agree() -> None:
    assert not is_own_origin("http://evil.example:8000", "evil.example:8000")


def test_the_public_url_is_our_own_whatever_host_the_proxy_sends(settings: Settings) -> None:
    settings.PUBLIC_URL = "https://help.example"
    assert is_own_origin("https://help.example", "web:8000")
