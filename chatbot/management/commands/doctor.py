"""Print what `chatbot.doctor` finds; exit code 1 when something is wrong."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from chatbot import doctor


class Command(BaseCommand):
    help = "Versions, backends, model, kernels, ports and disk, each ok or with its remedy."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object a line")

    def handle(self, *args: Any, **options: Any) -> None:
        num_problems = 0
        for finding in doctor.examine():
            num_problems += not finding.is_ok
            if options["json"]:
                self.stdout.write(json.dumps(asdict(finding)))
                continue
            mark = self.style.SUCCESS("ok     ") if finding.is_ok else self.style.ERROR("problem")
            remedy = "" if finding.is_ok or not finding.remedy else f"\n{'':25}→ {finding.remedy}"
            self.stdout.write(f"{mark} {finding.name:<16} {finding.text}{remedy}")
        if num_problems:
            sys.exit(1)
