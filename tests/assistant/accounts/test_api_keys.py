"""Keys of programs."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from assistant.accounts import api_keys
from assistant.accounts.errors import NotAuthenticated
from assistant.accounts.rate_limits import RateLimited
from tests.support.people import make_site
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db


def test_a_key_opens_and_is_not_in_the_database() -> None:
    key, text = api_keys.make(name="script", site=make_site(), created_by=None)
    assert api_keys.authenticate(text) == key
    key.refresh_from_db()
    assert text not in {key.key_hash, key.prefix}
    assert key.last_used_at is not None


@pytest.mark.parametrize("change", [lambda text: text + "x", lambda text: text[:-1], lambda text: text[:12]])
def test_only_the_whole_text_opens(change: object) -> None:
    _key, text = api_keys.make(name="script", site=make_site(), created_by=None)
    with pytest.raises(NotAuthenticated):
        api_keys.authenticate(change(text))  # type: ignore[operator]


@pytest.mark.parametrize("text", ["", "pk_", "\ud800", "\x00" * 40, "x" * 100_000])
def test_garbage_is_refused(text: str) -> None:
    with pytest.raises(NotAuthenticated):
        api_keys.authenticate(text)


def test_a_revoked_key_opens_nothing() -> None:
    key, text = api_keys.make(name="script", site=make_site(), created_by=None)
    api_keys.revoke(key)
    with pytest.raises(NotAuthenticated):
        api_keys.authenticate(text)


def test_a_key_of_a_site_that_is_switched_off_opens_nothing() -> None:
    site = make_site()
    _key, text = api_keys.make(name="script", site=site, created_by=None)
    site.is_active = False
    site.save()
    with pytest.raises(NotAuthenticated):
        api_keys.authenticate(text)


def test_using_a_key_often_does_not_write_often() -> None:
    _key, text = api_keys.make(name="script", site=make_site(), created_by=None)
    api_keys.authenticate(text)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        api_keys.authenticate(text)
    assert len(queries) == 1


def test_each_key_has_its_own_limit(valkey: ValkeyServer) -> None:
    site = make_site()
    narrow, _ = api_keys.make(name="narrow", site=site, created_by=None, max_requests_per_minute=2)
    other, _ = api_keys.make(name="other", site=site, created_by=None, max_requests_per_minute=2)
    api_keys.take_request(narrow)
    api_keys.take_request(narrow)
    with pytest.raises(RateLimited) as refused:
        api_keys.take_request(narrow)
    assert 1 <= refused.value.retry_after_s <= 60
    api_keys.take_request(other)


def test_without_valkey_the_limit_holds_in_this_process(valkey: ValkeyServer) -> None:
    key, _ = api_keys.make(name="script", site=make_site(), created_by=None, max_requests_per_minute=2)
    valkey.stop()
    api_keys.take_request(key)
    api_keys.take_request(key)
    with pytest.raises(RateLimited):
        api_keys.take_request(key)
