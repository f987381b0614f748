"""The client's address behind proxies (S4: a spoofed X-Forwarded-For is ignored)."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import Settings

from assistant.accounts.addresses import UNKNOWN, client_address, client_address_of_scope


def meta(forwarded: str = "", peer: str = "10.0.0.9") -> dict[str, str]:
    return {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}


def test_without_proxies_the_header_is_never_read(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = 0
    assert client_address(meta("203.0.113.7")) == "10.0.0.9"


@pytest.mark.parametrize(
    ("num_proxies", "forwarded", "expected"),
    [
        (1, "203.0.113.7", "203.0.113.7"),
        (1, "6.6.6.6, 203.0.113.7", "203.0.113.7"),
        (2, "6.6.6.6, 203.0.113.7, 10.0.0.8", "203.0.113.7"),
        (2, "203.0.113.7", "10.0.0.9"),
        (1, "", "10.0.0.9"),
        (1, "<script>", UNKNOWN),
        (1, "2001:db8::1", "2001:db8::1"),
    ],
)
def test_only_entries_that_trusted_proxies_wrote_count(
    settings: Settings, num_proxies: int, forwarded: str, expected: str
) -> None:
    settings.TRUSTED_PROXIES = num_proxies
    assert client_address(meta(forwarded)) == expected


def test_a_socket_without_an_address_has_the_unknown_one() -> None:
    assert client_address_of_scope({"client": None, "headers": []}) == UNKNOWN


def test_a_websocket_behind_a_proxy_has_the_address_the_proxy_saw(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = 1
    headers = [(b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-for", b"203.0.113.7")]
    assert client_address_of_scope({"client": ["10.0.0.9", 1], "headers": headers}) == "203.0.113.7"


@pytest.mark.django_db
def test_no_library_sees_a_spoofed_header(client: Client, settings: Settings) -> None:
    settings.TRUSTED_PROXIES = 0
    request = client.get("/health", headers={"X-Forwarded-For": "6.6.6.6"}).wsgi_request
    assert "HTTP_X_FORWARDED_FOR" not in request.META
    assert request.META["REMOTE_ADDR"] == "127.0.0.1"
