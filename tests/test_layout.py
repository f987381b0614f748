"""Imports point one way, and the tree holds what the layout says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# package -> what it must not import
FORBIDDEN = {
    "inference/engine": ("django", "assistant", "chatbot", "inference.serving", "inference.training"),
    "inference/compression": ("django", "assistant", "chatbot", "inference.serving", "inference.training"),
    "inference/serving": ("django", "assistant", "chatbot", "inference.training"),
    "assistant": ("chatbot", "torch", "transformers", "inference.engine", "inference.training"),
    "chatbot": ("torch", "transformers", "inference.engine"),
}
SCENARIOS = ("support", "virtual_assistant", "tutoring")


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_point_one_way(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in imports(path)
        if any(within(name, forbidden) for forbidden in FORBIDDEN[package])
    ]
    assert wrong == []


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenarios_do_not_know_each_other(scenario: str) -> None:
    others = [f"assistant.{other}" for other in SCENARIOS if other != scenario]
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(f"assistant/{scenario}")
        for name in imports(path)
        if any(within(name, other) for other in others)
    ]
    assert wrong == []


def test_top_level_is_the_agreed_one() -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    agreed = {"chatbot", "assistant", "inference", "templates", "static", "tests", "docker", "docs", "var"}
    assert folders - agreed - {"__pycache__", "test-results"} == set()
