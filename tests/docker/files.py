"""What the files in docker/ say, read once."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OWN = {name: service for name, service in SERVICES.items() if "build" in service}
# One instruction a line; comments gone, because they may stand inside an instruction.
DOCKERFILE = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.M))
PROXY = (DOCKER / "proxy.conf").read_text()


def instructions(name: str) -> list[list[str]]:
    """The words of every instruction of that name in the Dockerfile."""
    return [shlex.split(line)[1:] for line in DOCKERFILE.splitlines() if line.startswith(f"{name} ")]


def image_environment() -> dict[str, str]:
    pairs = (word.partition("=") for words in instructions("ENV") for word in words)
    return {name: value for name, _, value in pairs}


def example_lines() -> dict[str, str]:
    """Every setting of env.example, those that are commented out as well."""
    found = re.findall(r"^#?([A-Z_]+)=(.*)$", (DOCKER / "env.example").read_text(), flags=re.M)
    return dict(found)
