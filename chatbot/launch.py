"""The start of everything on one machine, step by step, and its orderly end."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from chatbot import model, preflight, processes
from chatbot.env import SettingError
from chatbot.supervisor import Supervisor

Tell = Callable[[str], None]
STAFF_EMAIL = "admin@parley.local"
DOCS_COLLECTION = "parley-docs"
WATCHDOG_EVERY_S = 20.0


def up(*, tell: Tell) -> None:
    """Run until Ctrl-C or SIGTERM. Raises SettingError or StartFailed, with everything ended again."""
    preflight.data_folder()
    processes.prepare_run_dir()
    with _only_one():
        preflight.require_all()
        processes.prepare_folders()
        supervisor = Supervisor(
            processes.table(model_folder=model.prepare()), log_dir=settings.DATA_DIR / "logs", tell=tell
        )
        _stop_on_signals(supervisor)
        try:
            supervisor.launch("engine")  # the slowest to be ready loads while the database is looked after
            call_command("migrate", interactive=False, verbosity=0)
            call_command("seed", staff_email=STAFF_EMAIL)
            connections.close_all()
            supervisor.start()
            if not supervisor.is_stopping.is_set():
                _learn_own_documents(tell)
                tell(_addresses())
            supervisor.watch(on_tick=_Watchdog(supervisor))
        finally:
            tell("stopping …")
            supervisor.stop()


@contextmanager
def _only_one() -> Iterator[None]:
    """Hold the data folder's lock, so that two supervisors never share one Valkey and one database."""
    with (settings.RUN_DIR / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingError(
                f"Parley already runs on DATA_DIR={settings.DATA_DIR}."
                " Stop it, or set DATA_DIR to another folder."
            ) from None
        yield


def _stop_on_signals(supervisor: Supervisor) -> None:
    def stop(number: int, frame: object) -> None:
        supervisor.is_stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def _learn_own_documents(tell: Tell) -> None:
    """Ingest the project's documentation for the demo site: at the first start before the address is
    told, later behind it, because unchanged files cost nothing but the look."""
    from assistant.knowledge.models import Article

    argv = [sys.executable, "manage.py", "ingest", "README.md", "docs"]
    # The log is for those who build Parley: it is full of questions, and of what lost.
    argv += ["--collection", DOCS_COLLECTION, "--site", "demo", "--exclude", "log.md"]
    is_first = not Article.objects.filter(collection__slug=DOCS_COLLECTION).exists()
    connections.close_all()
    if is_first:
        tell("reading the documentation …")
        if subprocess.run(argv, cwd=settings.BASE_DIR).returncode != 0:
            tell("the documentation could not be read; the demo site has no knowledge yet")
    else:
        log = (settings.DATA_DIR / "logs" / "ingest.log").open("w")
        subprocess.Popen(argv, cwd=settings.BASE_DIR, stdout=log, stderr=log, preexec_fn=lambda: os.nice(15))


def _addresses() -> str:
    base = settings.PUBLIC_URL or f"http://{processes.own_host()}:{settings.ENV['PORT']}"
    rows = [("ask", "/"), ("chat", "/chat/"), ("embedded", "/demo/"), ("console", "/console/")]
    return "\n".join(["", *(f"  {name:<9} {base}{path}" for name, path in rows), "", "Ctrl-C ends it."])


class _Watchdog:
    """Restarts the worker when its canary has been silent for too long."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.next_look = time.monotonic() + 90.0

    def __call__(self) -> None:
        if time.monotonic() < self.next_look:
            return
        self.next_look = time.monotonic() + WATCHDOG_EVERY_S
        from assistant.console.watchdog import is_canary_silent

        if is_canary_silent():
            self.supervisor.tell("the worker's canary is silent; restarting the worker")
            self.supervisor.restart("worker")
            self.next_look = time.monotonic() + 90.0
