"""Run all of Parley on this machine: `make run` ends here."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chatbot import launch
from chatbot.env import SettingError
from chatbot.supervisor import StartFailed


class Command(BaseCommand):
    help = "Start everything under one supervisor; Ctrl-C ends it."
    requires_migrations_checks = False

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            launch.up(tell=self._tell)
        except (SettingError, StartFailed) as error:
            raise CommandError(str(error)) from None

    def _tell(self, text: str) -> None:
        self.stdout.write(text)
        sys.stdout.flush()
