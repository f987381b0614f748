"""People: users who sign in, visitors of a widget, and the keys of programs."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models
from django.utils.translation import gettext_lazy as _


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, **{"is_staff": True, "is_superuser": True, **fields})

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").lower())


class User(AbstractUser):
    """Signs in by e-mail address."""

    username = None  # type: ignore[assignment]
    email = models.EmailField(_("e-mail address"), unique=True)
    locale = models.CharField(max_length=16, default="en")

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects: ClassVar[UserManager] = UserManager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return self.email


class Visitor(models.Model):
    """Somebody who asks through a site's widget without an account of ours."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey("widget.Site", on_delete=models.CASCADE, related_name="visitors")
    external_id = models.CharField(max_length=200, null=True, blank=True, help_text=_("asserted by the site"))
    name = models.CharField(max_length=200, blank=True)
    user = models.ForeignKey(
        User,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="visitors",
        help_text=_("signed in as"),
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["site", "external_id"], name="one_visitor_per_external_id"),
        ]

    def __str__(self) -> str:
        return self.name or str(self.id)[:8]


class ApiKey(models.Model):
    """A program's right to ask in one site and scenario. The key itself is shown once and kept hashed."""

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    key_hash = models.CharField(max_length=64, editable=False)
    site = models.ForeignKey("widget.Site", on_delete=models.CASCADE, related_name="api_keys")
    scenario = models.CharField(max_length=40, default="support")
    max_requests_per_minute = models.PositiveIntegerField(default=60)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
