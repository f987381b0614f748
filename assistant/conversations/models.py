"""Conversations, their messages as a tree of branches, and the turns that make answers."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Conversation(models.Model):
    """A thread between one principal (user, visitor or API key) and a site's assistant."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey("widget.Site", on_delete=models.CASCADE, related_name="conversations")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="conversations",
    )
    visitor = models.ForeignKey(
        "accounts.Visitor", null=True, blank=True, on_delete=models.CASCADE, related_name="conversations"
    )
    api_key = models.ForeignKey(
        "accounts.ApiKey", null=True, blank=True, on_delete=models.CASCADE, related_name="conversations"
    )
    scenario = models.CharField(max_length=40, default="support")
    title = models.CharField(max_length=200, blank=True)
    is_titled = models.BooleanField(
        default=False, help_text=_("the title was made or chosen, not cut from the first question")
    )
    locale = models.CharField(max_length=16, default="en")
    attributes = models.JSONField(
        default=dict, blank=True, help_text=_("what the embedding page said of its visitor")
    )
    leaf = models.ForeignKey(
        "Message",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text=_("end of the branch shown"),
    )
    epoch = models.PositiveIntegerField(default=0, help_text=_("epoch of the event log"))
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True, db_index=True)

    class Meta:
        ordering = ["-updated_at"]
        indexes = [
            models.Index(fields=["user", "-updated_at"]),
            models.Index(fields=["visitor", "-updated_at"]),
            models.Index(fields=["site", "-updated_at"]),
        ]

    def __str__(self) -> str:
        return self.title or str(self.id)[:8]


class Message(models.Model):
    class Role(models.TextChoices):
        USER = "user", _("user")
        ASSISTANT = "assistant", _("assistant")

    class State(models.TextChoices):
        STREAMING = "streaming", _("streaming")
        COMPLETE = "complete", _("complete")
        STOPPED = "stopped", _("stopped")
        INTERRUPTED = "interrupted", _("interrupted")
        FAILED = "failed", _("failed")
        RETRACTED = "retracted", _("retracted")

    class Outcome(models.TextChoices):
        NONE = "", _("none")
        ANSWERED = "answered", _("answered")
        REFUSED = "refused", _("does not know")
        BLOCKED = "blocked", _("blocked")
        HELPED = "helped", _("helped")
        ERROR = "error", _("error")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages")
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="children"
    )
    role = models.CharField(max_length=10, choices=Role)
    text = models.TextField(blank=True, help_text=_("personal data replaced by placeholders"))
    private = models.BinaryField(null=True, editable=False, help_text=_("sealed values of the placeholders"))
    client_id = models.UUIDField(null=True, blank=True)
    state = models.CharField(max_length=12, choices=State, default=State.COMPLETE)
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.NONE, blank=True)
    citations = models.JSONField(default=list, blank=True)
    receipt = models.JSONField(default=dict, blank=True)
    feedback = models.SmallIntegerField(default=0)
    feedback_reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["conversation", "client_id"],
                condition=Q(client_id__isnull=False),
                name="one_message_per_client_id",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role}: {self.text[:40]}"


class Turn(models.Model):
    """The making of one answer. Whoever holds the lease may write; each new holder gets a higher token."""

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        STOPPED = "stopped", _("stopped")
        INTERRUPTED = "interrupted", _("interrupted")
        FAILED = "failed", _("failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="turns")
    question = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="turns")
    answer = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="turn")
    state = models.CharField(max_length=12, choices=State, default=State.QUEUED)
    epoch = models.PositiveIntegerField(default=0)
    lease_owner = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    fencing_token = models.PositiveIntegerField(default=0)
    num_attempts = models.PositiveSmallIntegerField(default=0)
    saved_seq = models.PositiveIntegerField(
        default=0, help_text=_("last event of this epoch that the saved answer holds")
    )
    screening = models.JSONField(
        default=dict, blank=True, help_text=_("verdict on the question: decision, reply, findings, version")
    )
    sampling = models.JSONField(
        default=dict, blank=True, help_text=_("asked for by an API client: temperature, top_p, seed …")
    )
    prompt = models.JSONField(
        default=list, blank=True, editable=False, help_text=_("the messages the model was given, redacted")
    )
    is_stop_asked = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["state", "lease_until"])]

    def __str__(self) -> str:
        return f"{self.conversation_id} {self.state}"
