"""Looks an installation over: each finding is ok or a problem with its remedy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from chatbot import preflight, processes
from chatbot.env import SettingError

PACKAGES = ("Django", "channels", "daphne", "celery", "redis", "torch", "transformers", "bitsandbytes")


@dataclass(frozen=True)
class Finding:
    name: str
    is_ok: bool
    text: str
    remedy: str = ""


def examine() -> Iterator[Finding]:
    """Every finding, cheap ones first. Starts nothing and changes nothing."""
    is_running = processes.web_is_ready()
    for name, check in preflight.CHECKS.items():
        if name == "port" and is_running:
            yield Finding("port", True, f"{settings.ENV['PORT']}, Parley answers there")
            continue
        try:
            yield Finding(name, True, check())
        except SettingError as error:
            problem, _, remedy = str(error).partition(". ")
            yield Finding(name, False, problem, remedy)
    yield from _packages()
    yield _migrations()
    yield _model()
    yield from _running(is_running)


def _packages() -> Iterator[Finding]:
    for name in PACKAGES:
        try:
            yield Finding(name, True, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(name, False, "not installed", "make run installs it")


def _migrations() -> Finding:
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        return Finding("migrations", False, str(error).splitlines()[0], "Mend the database first.")
    if pending:
        return Finding("migrations", False, f"{len(pending)} pending", "make run applies them")
    return Finding("migrations", True, "all applied")


def _model() -> Finding:
    if settings.ENGINE_URL:
        return Finding("model", True, f"served by {settings.ENGINE_URL}")
    for manifest in sorted(settings.MODELS_DIR.glob("*/manifest.json")):
        facts = json.loads(manifest.read_text())
        if settings.MODEL in {facts.get("name"), facts.get("source"), manifest.parent.name}:
            return Finding("model", True, f"{settings.MODEL}, {facts.get('quantization')}, {manifest.parent}")
    return Finding("model", False, f"MODEL={settings.MODEL} is not converted yet", "make run fetches it")


def _running(is_running: bool) -> Iterator[Finding]:
    if not is_running:
        yield Finding("processes", True, "not running; make run starts them")
        return
    for name, check in (("valkey", processes.valkey_is_ready), ("engine", processes.engine_is_ready)):
        is_ok = check()
        log = settings.DATA_DIR / "logs" / f"{name}.log"
        yield Finding(f"{name} process", is_ok, "ready" if is_ok else "not ready", f"See {log}")
    facts = processes.engine_facts()
    if facts:
        yield Finding("kernels", True, _flat(facts))


def _flat(facts: dict[str, Any]) -> str:
    wanted = ("device", "kernel", "kernels", "quantization", "threads", "num_threads", "model")
    return ", ".join(f"{key} {facts[key]}" for key in wanted if facts.get(key))
