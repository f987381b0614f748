"""`manage.py ingest PATH_OR_URL… --collection NAME [--site SLUG]`: bring knowledge in, or up to date."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from assistant.knowledge import ingest, services
from assistant.knowledge.errors import KnowledgeError
from assistant.knowledge.models import Collection


class Command(BaseCommand):
    help = "Read Markdown, reStructuredText, text, HTML, PDF and DOCX into a collection of articles."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("sources", nargs="+", metavar="PATH_OR_URL")
        parser.add_argument("--collection", required=True, help="its name; made when it is new")
        parser.add_argument("--site", help="slug of a site that shall answer from the collection")
        parser.add_argument("--url-prefix", default="", help="where the same files stand on the web")
        parser.add_argument(
            "--exclude", action="append", default=[], metavar="PATTERN", help="files of a folder to leave out"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            collection = services.collection_named(name=options["collection"])
            if options["site"]:
                services.attach(collection=collection, site_slug=options["site"])
            for path in options["sources"]:
                self.read(path, collection, options["url_prefix"], options["exclude"])
            self.embed_missing()
        except KnowledgeError as error:
            raise CommandError(str(error)) from error

    def read(self, path: str, collection: Collection, url_prefix: str, exclude: list[str]) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns) as bar:
            task = bar.add_task(path, total=None)
            report = ingest.ingest_path(
                path=path,
                collection=collection,
                url_prefix=url_prefix,
                exclude=exclude,
                on_progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        for _, reason in report.failed:
            self.stderr.write(self.style.WARNING(f"skipped {reason}"))
        self.stdout.write(f"{path}: {report}")

    def embed_missing(self) -> None:
        """Left over from times without the engine, or from just now."""
        try:
            if num_embedded := ingest.embed_missing():
                self.stdout.write(f"{num_embedded} passages embedded")
        except ingest.EngineError as error:
            self.stderr.write(
                self.style.WARNING(f"Passages are found by words only until the engine runs: {error}")
            )
