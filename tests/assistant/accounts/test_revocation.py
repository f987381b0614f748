"""What ends an open socket, and how soon (S2). The groups are the ones every chat socket joins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from assistant.accounts import api_keys, principals, revocation, visitors
from assistant.accounts.models import User
from tests.support.people import PASSWORD, make_site, make_user, make_visitor
from tests.support.valkey import ValkeyServer

LIMIT_S = 2.0


async def is_told(principal: principals.Principal, session_key: str | None, act: Callable[[], Any]) -> bool:
    """Whether somebody who joined the groups hears `revoked` in time after `act`."""
    layer: Any = get_channel_layer()
    channel = await layer.new_channel()
    for group in revocation.group_names(principal, session_key):
        await layer.group_add(group, channel)
    await sync_to_async(act)()
    try:
        message = await asyncio.wait_for(layer.receive(channel), LIMIT_S)
    except TimeoutError:
        return False
    finally:
        await layer.flush()
    return message["type"] == "revoked"


def sign_in(user: User) -> tuple[Client, str]:
    client = Client()
    client.force_login(user)
    assert client.session.session_key
    return client, client.session.session_key


def change_password(user: User) -> None:
    user.set_password("another-long-passphrase")
    user.save()


def deactivate(user: User) -> None:
    user.is_active = False
    user.save()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", [change_password, deactivate, User.delete])
async def test_what_happens_to_an_account_reaches_its_sockets(
    valkey: ValkeyServer, act: Callable[[User], Any]
) -> None:
    user = await sync_to_async(make_user)()
    assert await is_told(principals.of_user(user), None, lambda: act(user))


@pytest.mark.django_db(transaction=True)
async def test_signing_out_reaches_the_sockets_of_that_session(valkey: ValkeyServer) -> None:
    user = await sync_to_async(make_user)()
    client, session_key = await sync_to_async(sign_in)(user)
    leave = lambda: client.post("/accounts/logout/")  # noqa: E731
    assert await is_told(principals.of_user(user), session_key, leave)


@pytest.mark.django_db(transaction=True)
async def test_signing_out_elsewhere_leaves_this_session_open(valkey: ValkeyServer) -> None:
    user = await sync_to_async(make_user)()
    other, _ = await sync_to_async(sign_in)(user)
    _, session_key = await sync_to_async(sign_in)(user)
    leave = lambda: other.post("/accounts/logout/")  # noqa: E731
    assert not await is_told(principals.of_user(user), session_key, leave)


@pytest.mark.django_db(transaction=True)
async def test_signing_out_everywhere_reaches_the_other_sessions(valkey: ValkeyServer) -> None:
    user = await sync_to_async(make_user)()

    def sign_in_properly() -> tuple[Client, str]:
        client = Client()
        client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
        return client, client.session.session_key or ""

    here, _ = await sync_to_async(sign_in_properly)()
    _, session_key = await sync_to_async(sign_in_properly)()
    leave = lambda: here.post("/accounts/sessions/")  # noqa: E731
    assert await is_told(principals.of_user(user), session_key, leave)


@pytest.mark.django_db(transaction=True)
async def test_revoking_a_key_reaches_its_streams(valkey: ValkeyServer) -> None:
    site = await sync_to_async(make_site)()
    key, _ = await sync_to_async(api_keys.make)(name="script", site=site, created_by=None)
    assert await is_told(principals.of_api_key(key), None, lambda: api_keys.revoke(key))


@pytest.mark.django_db(transaction=True)
async def test_claiming_a_visitor_reaches_the_visitors_sockets(valkey: ValkeyServer) -> None:
    visitor = await sync_to_async(make_visitor)(await sync_to_async(make_site)())
    user = await sync_to_async(make_user)()
    token = visitors.issue_token(visitor=visitor).token
    assert await is_told(principals.of_visitor(visitor), None, lambda: visitors.claim(token=token, user=user))


@pytest.mark.django_db(transaction=True)
async def test_an_ordinary_change_of_an_account_disturbs_nobody(valkey: ValkeyServer) -> None:
    user = await sync_to_async(make_user)()

    def rename() -> None:
        user.first_name = "Ann"
        user.save()

    assert not await is_told(principals.of_user(user), None, rename)


@pytest.mark.django_db(transaction=True)
def test_signing_out_works_while_valkey_is_away(valkey: ValkeyServer) -> None:
    client, session_key = sign_in(make_user())
    valkey.stop()
    assert client.post("/accounts/logout/").status_code == 302
    assert not Session.objects.filter(session_key=session_key).exists()


@pytest.mark.django_db
class TestIsStillValid:
    """A message can be lost; a socket that asks finds out all the same."""

    def test_a_signed_in_user_is(self) -> None:
        user = make_user()
        _, session_key = sign_in(user)
        assert revocation.is_still_valid(principals.of_user(user), session_key)

    def test_a_user_without_a_session_is_not(self) -> None:
        assert not revocation.is_still_valid(principals.of_user(make_user()), None)

    def test_a_deactivated_user_is_not_however_it_was_done(self) -> None:
        user = make_user()
        _, session_key = sign_in(user)
        User.objects.update(is_active=False)
        assert not revocation.is_still_valid(principals.of_user(user), session_key)

    def test_a_session_from_before_a_new_password_is_not(self) -> None:
        user = make_user()
        _, session_key = sign_in(user)
        change_password(user)
        assert not revocation.is_still_valid(principals.of_user(user), session_key)

    def test_an_expired_session_is_not(self) -> None:
        user = make_user()
        _, session_key = sign_in(user)
        Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
        assert not revocation.is_still_valid(principals.of_user(user), session_key)

    def test_somebody_elses_session_does_not_count(self) -> None:
        _, session_key = sign_in(make_user("other@example.com"))
        assert not revocation.is_still_valid(principals.of_user(make_user()), session_key)

    def test_a_visitor_is_until_the_token_ends(self) -> None:
        visitor = make_visitor(make_site())
        soon, past = timezone.now() + timedelta(minutes=1), timezone.now() - timedelta(seconds=1)
        assert revocation.is_still_valid(principals.of_visitor(visitor, expires_at=soon), None)
        assert not revocation.is_still_valid(principals.of_visitor(visitor, expires_at=past), None)

    def test_a_visitor_of_a_site_that_is_switched_off_is_not(self) -> None:
        site = make_site()
        visitor = make_visitor(site)
        site.is_active = False
        site.save()
        assert not revocation.is_still_valid(principals.of_visitor(visitor), None)

    def test_a_revoked_key_is_not(self) -> None:
        key, _ = api_keys.make(name="script", site=make_site(), created_by=None)
        assert revocation.is_still_valid(principals.of_api_key(key), None)
        api_keys.revoke(key)
        assert not revocation.is_still_valid(principals.of_api_key(key), None)
