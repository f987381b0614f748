"""Policies, versioned, and the audit trail of what they decided."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Policy(models.Model):
    """One version of the rules for a site and scenario. Empty site or scenario: for all."""

    site = models.ForeignKey(
        "widget.Site", null=True, blank=True, on_delete=models.CASCADE, related_name="policies"
    )
    scenario = models.CharField(max_length=40, blank=True)
    version = models.PositiveIntegerField(
        unique=True, editable=False, help_text=_("counts over all policies, so that it names one alone")
    )
    is_active = models.BooleanField(default=True)
    rules = models.JSONField(default=dict)
    note = models.CharField(max_length=300, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = _("policies")

    def __str__(self) -> str:
        return f"{self.site or _('every site')} / {self.scenario or _('every scenario')} v{self.version}"


class Verdict(models.Model):
    """One decision of one check, with its reason. Never holds the private text itself."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey("widget.Site", null=True, on_delete=models.SET_NULL, related_name="verdicts")
    conversation_id = models.UUIDField(null=True, db_index=True)
    message_id = models.UUIDField(null=True, db_index=True)
    stage = models.CharField(max_length=10, choices=[("input", _("input")), ("output", _("output"))])
    check_name = models.CharField(max_length=40)
    action = models.CharField(max_length=10, help_text=_("redact, block, help, retract or flag"))
    reason = models.CharField(max_length=300)
    policy_version = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    def __str__(self) -> str:
        return f"{self.stage} {self.check_name}: {self.action}"
