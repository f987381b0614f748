"""Reading sources into a collection: only what changed, one transaction per article, faults reported.

While the engine process embeds one batch of passages, this one reads and cuts the next. Without the
engine, passages are saved all the same and found by their words; `embed_missing` brings them up later.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from numpy.typing import NDArray

from assistant.accounts.models import User
from assistant.console.models import Job
from assistant.knowledge import crawl, services, vectors
from assistant.knowledge.errors import KnowledgeError
from assistant.knowledge.models import Article, Collection, Passage
from assistant.knowledge.passages import Draft, cut
from assistant.knowledge.readers import Document, read
from assistant.knowledge.sources import File, Source, open_source
from assistant.knowledge.terms import index_terms
from inference.serving.client import EngineError

logger = logging.getLogger(__name__)

# Part of every content hash: raising it makes the next ingestion read everything again.
READER_VERSION = 1
BATCH_PASSAGES = 256

Progress = Callable[[int, int], None]
Vectors = NDArray[np.float32]


@dataclass
class Report:
    """What an ingestion did. `failed`: (path, reason); those files keep their last good version."""

    num_added: int = 0
    num_changed: int = 0
    num_unchanged: int = 0
    num_removed: int = 0
    num_passages: int = 0
    num_unembedded: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        counts = f"{self.num_added} added, {self.num_changed} changed, {self.num_unchanged} unchanged"
        return (
            f"{counts}, {self.num_removed} removed, {len(self.failed)} failed; {self.num_passages} passages"
        )


@dataclass(frozen=True)
class Draught:
    """An article that is read and cut, on its way to be embedded and saved."""

    file: File
    content_hash: str
    document: Document
    passages: list[Draft]


def ingest_path(
    *,
    path: str,
    collection: Collection,
    url_prefix: str = "",
    exclude: Sequence[str] = (),
    on_progress: Progress | None = None,
    may_connect: crawl.Gate = crawl.is_public,
) -> Report:
    """Bring the collection in step with a file, a folder or an address. Raises RefusedSource."""
    source = open_source(path, url_prefix=url_prefix, exclude=exclude, may_connect=may_connect)
    return ingest_source(source=source, collection=collection, on_progress=on_progress)


def ingest_source(
    *,
    source: Source,
    collection: Collection,
    on_progress: Progress | None = None,
    is_whole: bool = True,
) -> Report:
    """`is_whole`: the source names all its files, so articles that are not among them go."""
    report = Report()
    known = dict(collection.articles.filter(source=source.key).values_list("path", "content_hash"))
    if is_whole:
        remove_missing(collection, set(known) - {file.path for file in source.files}, report)
    num_done = 0
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="embed") as pool:
        waiting: tuple[list[Draught], Future[Vectors | None]] | None = None
        for batch, num_read in batches(source.files, known, report):
            following = (batch, pool.submit(embed_batch, batch))
            if waiting:
                save_batch(collection, source, known, *waiting, report)
            waiting, num_done = following, num_read
            if on_progress:
                on_progress(num_done, len(source.files))
        if waiting:
            save_batch(collection, source, known, *waiting, report)
    if on_progress:
        on_progress(len(source.files), len(source.files))
    return report


def batches(files: list[File], known: dict[str, str], report: Report) -> Iterator[tuple[list[Draught], int]]:
    """Changed files, read and cut, about BATCH_PASSAGES passages at a time, and how many files were seen."""
    batch: list[Draught] = []
    size = 0
    for number, file in enumerate(files, 1):
        try:
            draught = prepare(file, known.get(file.path))
        except KnowledgeError as error:
            logger.warning("%s", error)
            report.failed.append((file.path, str(error)))
            continue
        if draught is None:
            report.num_unchanged += 1
            continue
        batch.append(draught)
        size += len(draught.passages)
        if size >= BATCH_PASSAGES:
            yield batch, number
            batch, size = [], 0
    if batch:
        yield batch, len(files)


def prepare(file: File, known_hash: str | None) -> Draught | None:
    """None when the file is what it was. Raises UnreadableFile."""
    data = file.load()
    head = f"{READER_VERSION}\0{file.url}\0".encode()
    content_hash = hashlib.sha256(head + data).hexdigest()
    if content_hash == known_hash:
        return None
    document = read(file.path, data)
    return Draught(file, content_hash, document, cut(document.markdown, title=document.title))


def embed_batch(batch: list[Draught]) -> Vectors | None:
    """None without the engine: the passages are found by their words until `embed_missing` ran."""
    texts = [vectors.passage_text(draft.headings, draft.text) for item in batch for draft in item.passages]
    try:
        return vectors.embed(texts)
    except EngineError as error:
        logger.warning("passages are saved without vectors: %s", error)
        return None


def save_batch(
    collection: Collection,
    source: Source,
    known: dict[str, str],
    batch: list[Draught],
    embedding: Future[Vectors | None],
    report: Report,
) -> None:
    rows = embedding.result()
    at = 0
    for draught in batch:
        mine = None if rows is None else rows[at : at + len(draught.passages)]
        at += len(draught.passages)
        try:
            save(collection, source, draught, mine)
        except IntegrityError:
            reason = f"{draught.file.path} is already in {collection.slug} from another source. Rename one."
            report.failed.append((draught.file.path, reason))
            continue
        report.num_passages += len(draught.passages)
        report.num_unembedded += len(draught.passages) if mine is None else 0
        if draught.file.path in known:
            report.num_changed += 1
        else:
            report.num_added += 1


@transaction.atomic
def save(collection: Collection, source: Source, draught: Draught, rows: Vectors | None) -> Article:
    """One article whole, or as it was before. Raises IntegrityError: the path belongs to another source."""
    values = {
        "title": draught.document.title,
        "locale": draught.document.locale,
        "source_url": draught.file.url,
        "content_hash": draught.content_hash,
        "markdown": draught.document.markdown,
    }
    article = collection.articles.filter(path=draught.file.path, source=source.key).first()
    if article is None:
        article = Article(collection=collection, path=draught.file.path, source=source.key)
    for name, value in values.items():
        setattr(article, name, value)
    article.save()
    replace_passages(article, draught.passages, rows)
    services.touch(collection)
    return article


def remove_missing(collection: Collection, paths: set[str], report: Report) -> None:
    for path in sorted(paths):
        with transaction.atomic():
            collection.articles.filter(path=path).delete()
            services.touch(collection)
        report.num_removed += 1


def embed_missing(*, limit: int = 100_000) -> int:
    """Embed passages that were saved without the engine. Returns how many. Raises EngineError."""
    num_done = 0
    while num_done < limit:
        missing = list(
            Passage.objects.filter(embedding=None).select_related("article__collection")[:BATCH_PASSAGES]
        )
        if not missing:
            break
        rows = vectors.embed([vectors.passage_text(passage.headings, passage.text) for passage in missing])
        with transaction.atomic():
            for passage, row in zip(missing, rows, strict=True):
                passage.embedding = vectors.pack(row)
            Passage.objects.bulk_update(missing, ["embedding"])
            for collection in {passage.article.collection for passage in missing}:
                services.touch(collection)
        num_done += len(missing)
    return num_done


def enqueue_upload(*, collection: Collection, files: Sequence[UploadedFile], by: User | None) -> Job:
    """Read uploaded files in the background; see `uploads`. Raises RefusedSource or UnreadableFile."""
    from assistant.knowledge import uploads

    return uploads.enqueue(collection=collection, files=files, by=by)


def replace_passages(article: Article, drafts: Sequence[Draft], rows: Vectors | None) -> None:
    """Give an article these passages for its own. `rows`: fp32 [len(drafts), 384]; None: embedded later."""
    article.passages.all().delete()
    Passage.objects.bulk_create(
        Passage(
            article=article,
            ordinal=ordinal,
            headings=draft.headings,
            anchor=draft.anchor,
            text=draft.text,
            terms=index_terms(draft.text),
            embedding=None if rows is None else vectors.pack(rows[ordinal]),
        )
        for ordinal, draft in enumerate(drafts)
    )
