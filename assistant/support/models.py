"""Tickets: what a person must look at, because the machine could not help."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _


class Ticket(models.Model):
    class Status(models.TextChoices):
        OPEN = "open", _("open")
        PENDING = "pending", _("pending")
        SOLVED = "solved", _("solved")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.PositiveIntegerField(unique=True, editable=False)
    site = models.ForeignKey("widget.Site", on_delete=models.CASCADE, related_name="tickets")
    conversation = models.ForeignKey(
        "conversations.Conversation", null=True, on_delete=models.SET_NULL, related_name="tickets"
    )
    client_id = models.UUIDField(unique=True, null=True, editable=False)
    email = models.EmailField(blank=True)
    subject = models.CharField(max_length=200)
    transcript = models.TextField(editable=False)
    status = models.CharField(max_length=10, choices=Status, default=Status.OPEN)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"#{self.number} {self.subject}"
