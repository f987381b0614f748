"""The article page: where a citation leads."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.safestring import mark_safe

from assistant.knowledge import rendering, services

MAX_QUOTE = 400


def article(request: HttpRequest, collection: str, path: str) -> HttpResponse:
    """Readable for everybody when an active site answers from its collection, else for staff only."""
    articles = services.visible_articles(is_staff=bool(request.user.is_staff))
    found = get_object_or_404(articles.distinct(), collection__slug=collection, path=path)
    html = rendering.render(found.markdown, quote=request.GET.get("quote", "")[:MAX_QUOTE])
    # nh3 cleaned it a line above.
    return render(request, "knowledge/article.html", {"article": found, "html": mark_safe(html)})  # noqa: S308
