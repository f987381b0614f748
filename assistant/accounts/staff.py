"""The first staff account: made once, with a random password that is shown once."""

from __future__ import annotations

import secrets

from allauth.account.models import EmailAddress
from django.db import transaction

from assistant.accounts.models import User


def create_first_staff(*, email: str) -> str | None:
    """The new superuser's password; None when there is a staff account already (nothing is changed)."""
    if User.objects.filter(is_staff=True).exists():
        return None
    password = secrets.token_urlsafe(12)
    with transaction.atomic():
        user = User.objects.create_superuser(email, password)
        # Nobody can read the mail of a made-up address; whoever reads the terminal is trusted.
        EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    return password
