"""Cutting and embedding a collection's articles again, from the texts that are kept.

For when the embeddings came from another model, or were missing because the engine was away.
"""

from __future__ import annotations

import numpy as np
from django.db import transaction
from django.utils.translation import gettext as _
from numpy.typing import NDArray

from assistant.accounts.models import User
from assistant.console import jobs
from assistant.console.models import Job
from assistant.knowledge import ingest, services, vectors
from assistant.knowledge.models import Article, Collection
from assistant.knowledge.passages import Draft, cut

KIND = "re-index"


def start(*, collection: Collection, created_by: User) -> Job:
    from assistant.console.tasks import reindex_collection

    arguments = {"collection": collection.pk, "name": collection.name}
    return jobs.start(kind=KIND, task=reindex_collection, arguments=arguments, created_by=created_by)


def work(claim: jobs.Claim) -> jobs.Result:
    """The job itself; an article is replaced whole, so a second attempt only repeats."""
    collection = Collection.objects.get(pk=claim.job.arguments["collection"])
    total = collection.articles.count()
    claim.progress(0, total)
    num_passages = 0
    for done, pk in enumerate(collection.articles.order_by("pk").values_list("pk", flat=True), start=1):
        article = Article.objects.filter(pk=pk).select_related("collection").first()
        if article is not None:
            num_passages += _reindex(article)
        claim.progress(done, total)
    counts = {"articles": total, "passages": num_passages}
    return jobs.Result(_("%(articles)d articles, %(passages)d passages") % counts)


def _reindex(article: Article) -> int:
    drafts = cut(article.markdown, title=article.title)
    rows = (
        vectors.embed([vectors.passage_text(draft.headings, draft.text) for draft in drafts])
        if drafts
        else None
    )
    _replace(article, drafts, rows)
    return len(drafts)


@transaction.atomic
def _replace(article: Article, drafts: list[Draft], rows: NDArray[np.float32] | None) -> None:
    ingest.replace_passages(article, drafts, rows)
    services.touch(article.collection)
