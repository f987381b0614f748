"""`manage.py evaluate CASES.jsonl --site SLUG [--collection NAME] --json OUT`: whole turns, scored."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from assistant.knowledge import services as knowledge
from assistant.knowledge.models import Collection
from assistant.response_cache.bypass import left_aside
from assistant.support.evaluation.cases import Case, CaseFile, CasesInvalid, read_cases
from assistant.support.evaluation.driver import Driver, evaluation_visitor
from assistant.support.evaluation.figures import Scored, figures
from assistant.support.evaluation.local_engine import NoEngine, running_engine
from assistant.support.evaluation.scoring import score
from assistant.widget.models import Site


class Command(BaseCommand):
    help = "Ask the cases' questions through whole turns and compare the answers with what is expected."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("cases", type=Path, metavar="CASES.jsonl")
        parser.add_argument("--site", required=True, help="slug of the site that is asked")
        parser.add_argument("--collection", help="answer from this collection alone")
        parser.add_argument("--json", type=Path, metavar="OUT", help="write figures and whole turns here")
        parser.add_argument("--cache", action="store_true", help="let the response cache answer, too")
        parser.add_argument("--keep", action="store_true", help="keep the conversations for the console")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = read_cases(options["cases"])
        except CasesInvalid as error:
            raise CommandError(str(error)) from None
        site = _site(options["site"])
        _check_writable(options["json"])
        with contextlib.ExitStack() as stack:
            logging.disable(logging.INFO)  # lines of every request would tear the progress bar apart
            stack.callback(logging.disable, logging.NOTSET)
            if options["collection"]:
                stack.enter_context(knowledge.only(_collection(options["collection"])))
            if not options["cache"]:
                stack.enter_context(left_aside())
            visitor = stack.enter_context(evaluation_visitor(site, is_kept=options["keep"]))
            try:
                rows = asyncio.run(_run(found.cases, Driver(site, visitor)))
            except NoEngine as error:
                raise CommandError(str(error)) from None
        self._report(rows, found, options["json"])

    def _report(self, rows: list[Scored], found: CaseFile, out: Path | None) -> None:
        summed = figures(rows) | {"unknown_keys": dict(found.unknown)}
        if out:
            out.write_text(
                json.dumps({"figures": summed, "cases": _whole(rows)}, ensure_ascii=False, indent=1)
            )
        for row in rows:
            if row.score.kind:
                said = "; ".join(row.score.failures) or f"cites {_paths(row)}"
                self.stdout.write(f"{row.score.kind}: {row.case.id}: {said}")
        width = max(len(name) for name in summed)
        for name, value in summed.items():
            self.stdout.write(f"{name.replace('_', ' '):{width}}  {_shown(value)}")
        if out:
            self.stdout.write(f"every turn, whole: {out}")


async def _run(cases: list[Case], driver: Driver) -> list[Scored]:
    rows: list[Scored] = []
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    async with running_engine(), driver:
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("cases", total=len(cases))
            for case in cases:
                bar.update(task, description=case.id[:30])
                answers = await driver.run(case)
                rows += [
                    Scored(case, ask, answered, score(ask.expect, answered))
                    for ask, answered in zip(case.turns, answers, strict=True)
                ]
                bar.advance(task)
    return rows


def _whole(rows: list[Scored]) -> list[dict[str, Any]]:
    """The cases with each turn whole, so that another judge can score them."""
    cases: dict[str, dict[str, Any]] = {}
    for row in rows:
        case = cases.setdefault(
            row.case.id,
            {"id": row.case.id, "scenario": row.case.scenario, "locale": row.case.locale, "turns": []},
        )
        case["turns"].append(
            {**asdict(row.answered), "expect": asdict(row.ask.expect), "score": asdict(row.score)}
        )
    return list(cases.values())


def _paths(row: Scored) -> str:
    return ", ".join(str(citation.get("path")) for citation in row.answered.citations) or "nothing"


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, dict) and "share" in value:
        return f"{value['share']:.1%}  ({value['num']} of {value['of']})"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items()) or "none"
    return str(value)


def _site(slug: str) -> Site:
    site = Site.objects.filter(slug=slug).first()
    if site is None:
        known = ", ".join(Site.objects.values_list("slug", flat=True)[:20]) or "none"
        raise CommandError(f"There is no site {slug!r}. Known: {known}.")
    return site


def _collection(name: str) -> Collection:
    collection = Collection.objects.filter(slug=name).first() or Collection.objects.filter(name=name).first()
    if collection is None:
        known = ", ".join(Collection.objects.values_list("slug", flat=True)[:20]) or "none"
        raise CommandError(f"There is no collection {name!r}. Known: {known}. Make it with manage.py ingest.")
    return collection


def _check_writable(out: Path | None) -> None:
    """Now, not after an hour of answers."""
    if out is None:
        return
    try:
        out.touch()
    except OSError as error:
        raise CommandError(f"--json {out} cannot be written: {error.strerror}. Name another file.") from None
