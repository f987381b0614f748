"""Become one process of Parley: what a container runs."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot import model, processes
from chatbot.env import SettingError


class Command(BaseCommand):
    help = "Run one process in the foreground: valkey, engine, web, worker, trainer or beat."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", choices=["valkey", "engine", "web", "worker", "trainer", "beat"])

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        processes.prepare_folders()
        try:
            folder = model.prepare() if name == "engine" else None
        except SettingError as error:
            raise CommandError(str(error)) from None
        by_name = {process.name: process for process in processes.table(model_folder=folder)}
        if name not in by_name:
            raise CommandError(f"{name} is not part of this configuration: REDIS_URL is set. Unset it first.")
        os.execv(by_name[name].argv[0], by_name[name].argv)  # noqa: S606 (our own table)
