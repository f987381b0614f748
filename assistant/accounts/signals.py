"""What must end open connections, wherever it was done: a view, the console, a shell.

Sessions and users are rows of other people's apps, so their signals are the one place that sees every
way out: a session row is deleted by sign-out, by "sign out everywhere" and when its key rotates.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_save
from django.dispatch import receiver

from assistant.accounts import revocation
from assistant.accounts.models import ApiKey, User

CREDENTIALS = {"password", "is_active"}


@receiver(post_delete, sender=Session)
def _session_ended(instance: Session, **_kwargs: Any) -> None:
    transaction.on_commit(partial(revocation.revoke_session, instance.session_key))


@receiver(pre_save, sender=User)
def _remember_credentials(instance: User, update_fields: Any = None, **_kwargs: Any) -> None:
    is_touched = update_fields is None or CREDENTIALS & set(update_fields)
    before = User.objects.filter(pk=instance.pk).values(*CREDENTIALS).first() if is_touched else None
    now = {name: getattr(instance, name) for name in CREDENTIALS}
    instance._has_new_credentials = before is not None and before != now  # type: ignore[attr-defined]


@receiver(post_save, sender=User)
def _credentials_changed(instance: User, **_kwargs: Any) -> None:
    if getattr(instance, "_has_new_credentials", False):
        _revoke_after_commit(f"user:{instance.pk}")


@receiver(post_delete, sender=User)
def _user_deleted(instance: User, **_kwargs: Any) -> None:
    _revoke_after_commit(f"user:{instance.pk}")


@receiver(post_save, sender=ApiKey)
def _key_saved(instance: ApiKey, **_kwargs: Any) -> None:
    if instance.revoked_at is not None:
        _revoke_after_commit(f"api_key:{instance.pk}")


@receiver(post_delete, sender=ApiKey)
def _key_deleted(instance: ApiKey, **_kwargs: Any) -> None:
    _revoke_after_commit(f"api_key:{instance.pk}")


def _revoke_after_commit(principal_key: str) -> None:
    transaction.on_commit(partial(revocation.revoke_principal, principal_key))
