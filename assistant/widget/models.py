"""Sites: where the widget stands, how it looks there, and who may frame it."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from assistant.widget.origins import validate_origins


class Site(models.Model):
    """One place the widget is embedded in; the tenant of everything asked there."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    is_active = models.BooleanField(default=True)
    scenario = models.CharField(max_length=40, default="support")
    allowed_origins = models.JSONField(
        default=list,
        blank=True,
        validators=[validate_origins],
        help_text=_('origins that may embed the widget, e.g. ["https://shop.example"]'),
    )
    collections = models.ManyToManyField("knowledge.Collection", blank=True, related_name="sites")
    default_locale = models.CharField(max_length=16, default="en")
    color = models.CharField(
        max_length=7, default="#3b5bdb", validators=[RegexValidator(r"^#[0-9a-fA-F]{6}\Z")]
    )
    position = models.CharField(
        max_length=5, choices=[("right", _("right")), ("left", _("left"))], default="right"
    )
    greeting = models.JSONField(
        default=dict, blank=True, help_text=_('by language: {"en": "…", "zh-hans": "…"}')
    )
    starters = models.JSONField(default=dict, blank=True, help_text=_('by language: {"en": ["…"]}'))
    identity_secret = models.BinaryField(
        null=True, editable=False, help_text=_("sealed; signs the site's users")
    )
    handoff_email = models.EmailField(blank=True, help_text=_("where tickets go"))
    retention_days = models.PositiveIntegerField(default=0, help_text=_("0 keeps conversations"))
    has_training_consent = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name
