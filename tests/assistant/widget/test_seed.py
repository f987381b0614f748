"""`manage.py seed`."""

from __future__ import annotations

import io
import re

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from assistant.accounts.models import User
from assistant.knowledge.models import Collection
from assistant.widget.models import Site

pytestmark = pytest.mark.django_db


def seed(*arguments: str) -> str:
    out = io.StringIO()
    call_command("seed", *arguments, stdout=out)
    return out.getvalue()


def test_the_password_is_shown_once_and_opens(client: Client) -> None:
    text = seed("--staff-email", "admin@parley.local")
    shown = re.search(r"password (\S+) ", text)
    assert shown
    client.post("/accounts/login/", {"login": "admin@parley.local", "password": shown[1]})
    assert client.session["_auth_user_id"]
    assert "password" not in seed("--staff-email", "admin@parley.local")
    assert "password" not in seed("--staff-email", "second@parley.local")
    assert User.objects.count() == 1


def test_the_demo_site_gets_the_documentation_once_it_is_there() -> None:
    seed()
    assert not Site.objects.get(slug="demo").collections.exists()
    Collection.objects.create(slug="parley-docs", name="Parley")
    seed()
    assert Site.objects.get(slug="demo").collections.get().slug == "parley-docs"


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(CommandError, match="not an e-mail address"):
        seed("--staff-email", "admin")
    assert not User.objects.exists()
