"""What the assistant knows: collections of articles, cut into passages that can be found and cited."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Collection(models.Model):
    """Articles that belong together. `epoch` grows with each change: old answers become unreachable."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    epoch = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Article(models.Model):
    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="articles")
    path = models.CharField(max_length=500, help_text=_("where it stands in its source"))
    title = models.CharField(max_length=300)
    locale = models.CharField(max_length=16, default="en")
    source = models.CharField(
        max_length=1000,
        default="",
        blank=True,
        editable=False,
        db_index=True,
        help_text=_("the folder, file or address it was read from; what is gone there goes here"),
    )
    source_url = models.URLField(max_length=1000, blank=True)
    content_hash = models.CharField(max_length=64, editable=False)
    markdown = models.TextField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["collection", "path"], name="one_article_per_path"),
        ]

    def __str__(self) -> str:
        return self.title


class Passage(models.Model):
    article = models.ForeignKey(Article, on_delete=models.CASCADE, related_name="passages")
    ordinal = models.PositiveIntegerField()
    headings = models.CharField(max_length=500, blank=True, help_text=_("Title › Chapter › Section"))
    anchor = models.CharField(max_length=200, blank=True)
    text = models.TextField()
    terms = models.TextField(
        default="", blank=True, editable=False, help_text=_("the words as the full-text index reads them")
    )
    embedding = models.BinaryField(null=True, editable=False, help_text=_("384 float16, normalised"))

    class Meta:
        ordering = ["article_id", "ordinal"]
        constraints = [
            models.UniqueConstraint(fields=["article", "ordinal"], name="one_passage_per_ordinal"),
        ]

    def __str__(self) -> str:
        return f"{self.headings} #{self.ordinal}"
