"""What is forgotten, and what is not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from assistant.accounts.housekeeping import forget_expired
from assistant.accounts.models import Visitor
from assistant.conversations.models import Conversation
from tests.support.people import make_site, make_user, make_visitor

pytestmark = pytest.mark.django_db


def test_expired_sessions_go_and_live_ones_stay() -> None:
    clients = [Client(), Client()]
    for client in clients:
        client.force_login(make_user(f"{id(client)}@example.com"))
    expired, live = (client.session.session_key for client in clients)
    Session.objects.filter(pk=expired).update(expire_date=timezone.now() - timedelta(seconds=1))
    assert forget_expired()["sessions"] == 1
    assert Session.objects.get().pk == live


def test_only_visitors_who_never_asked_and_cannot_come_back_go() -> None:
    site = make_site()
    gone = make_visitor(site)
    asked, vouched_for, signed_in, fresh = (
        make_visitor(site),
        make_visitor(site, external_id="7"),
        make_visitor(site, user=make_user()),
        make_visitor(site),
    )
    Conversation.objects.create(site=site, visitor=asked)
    Visitor.objects.exclude(pk=fresh.pk).update(created_at=timezone.now() - timedelta(days=3))
    assert forget_expired()["visitors"] == 1
    assert not Visitor.objects.filter(pk=gone.pk).exists()
    assert Visitor.objects.filter(pk__in=[asked.pk, vouched_for.pk, signed_in.pk, fresh.pk]).count() == 4
