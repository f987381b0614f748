"""`manage.py canary`: exit code 0 when the worker works, 1 when it should be restarted."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from assistant.console import watchdog


class Command(BaseCommand):
    help = "Says whether the worker has done anything lately; exit code 1: restart it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--max-age", type=float, default=60.0, metavar="SECONDS")

    def handle(self, *args: Any, **options: Any) -> None:
        health = watchdog.check(max_age_s=options["max_age"])
        self.stdout.write(health.reason)
        if not health.is_alive:
            sys.exit(1)
