"""What the rest of Parley asks of knowledge: which collections a site has, their common epoch, the upkeep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db.models import F, QuerySet
from django.utils.text import slugify

from assistant.knowledge.errors import RefusedSource
from assistant.knowledge.models import Article, Collection
from assistant.widget.models import Site

_only: ContextVar[Collection | None] = ContextVar("only_collection", default=None)


def collection_named(*, name: str) -> Collection:
    """The collection of this slug, made when it is new. Raises RefusedSource for a name without a letter."""
    slug = slugify(name)
    if not slug:
        raise RefusedSource(f"{name!r} is no collection name. Use letters, digits and dashes.")
    collection, _ = Collection.objects.get_or_create(slug=slug, defaults={"name": name})
    return collection


def attach(*, collection: Collection, site_slug: str) -> Site:
    """Let a site answer from the collection. Raises RefusedSource when there is no such site."""
    site = Site.objects.filter(slug=site_slug).first()
    if site is None:
        known = ", ".join(Site.objects.values_list("slug", flat=True)[:20]) or "none"
        raise RefusedSource(f"There is no site {site_slug!r}. Known: {known}. Make it in the console.")
    site.collections.add(collection)
    return site


@contextmanager
def only(collection: Collection) -> Iterator[None]:
    """Within this context, and tasks and threads begun in it, every site has this collection alone."""
    token = _only.set(collection)
    try:
        yield
    finally:
        _only.reset(token)


def collections_of(site: Site) -> list[Collection]:
    if (chosen := _only.get()) is not None:
        return [chosen]
    return list(site.collections.order_by("pk"))


def epoch(site: Site) -> int:
    """Grows with every change of any article the site answers from, and when collections come or go.

    Collections are weighed by their key so that swapping one for another is a change too.
    """
    value = 0
    for collection in collections_of(site):
        value = (value * 1_000_003 + collection.pk * 8191 + collection.epoch) % 2_147_483_647
    return value


def touch(collection: Collection) -> None:
    """Make cached answers from this collection unreachable. Call it inside the change's transaction."""
    Collection.objects.filter(pk=collection.pk).update(epoch=F("epoch") + 1)


def visible_articles(*, is_staff: bool) -> QuerySet[Article]:
    """Articles whose collection an active site answers from; staff see all."""
    articles = Article.objects.select_related("collection")
    if is_staff:
        return articles
    return articles.filter(collection__in=Collection.objects.filter(sites__is_active=True))
