"""`manage.py fit_answerability CASES.jsonl`: refit what decides whether the passages hold an answer.

Each case is one of `evaluate`'s, with the collection it is about under setup.collection. The documents
must be ingested under that name first; docs/knowledge.md says where those of the shipped cases come from.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand, CommandError
from rich.progress import track

from assistant.knowledge.models import Collection
from assistant.support import answerability, fitting, scenario

SMALL = 150


class Command(BaseCommand):
    help = "Fit the weights in answerability.json on labelled questions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("cases", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="report only, keep the weights")

    def handle(self, *args: Any, **options: Any) -> None:
        lines = options["cases"].read_text(encoding="utf-8").splitlines()
        measured = (self.measure(json.loads(line)) for line in track(lines, "measuring") if line.strip())
        cases = [case for both in measured for case in both]
        if len({case.is_answerable for case in cases}) < 2:
            raise CommandError("Both answerable and unanswerable cases are needed.")
        fit = fitting.fit(cases)
        self.stdout.write(f"answerable kept {fit.kept:.3f}, unanswerable admitted {fit.admitted:.3f}")
        self.stdout.write(
            f"threshold {fit.model.threshold}, bias {fit.model.bias}, weights {fit.model.weights}"
        )
        for name in fit.wrong:
            self.stdout.write(f"  wrong: {name}")
        if not options["dry_run"]:
            fitting.save(fit.model)
            self.stdout.write(f"saved to {answerability.WEIGHTS.name}")

    def measure(self, case: dict[str, Any]) -> list[fitting.Case]:
        """Each question as in its collection and as in a small one, where every word is rare."""
        name = case["setup"]["collection"]
        collections = list(Collection.objects.filter(slug=name))
        if not collections:
            raise CommandError(f"There is no collection {name!r}: ingest its documents first.")
        turn = case["turns"][0]
        evidence = async_to_sync(scenario.gather)(turn["user"], collections)
        label = not turn["expect"].get("refuses", False)
        small = answerability.features(turn["user"], evidence.found, evidence.ranked, SMALL)
        name = f"{case['id']} {turn['user']}"
        return [
            fitting.Case(name, evidence.features, label),
            fitting.Case(name, small, label, is_judged=False),
        ]
