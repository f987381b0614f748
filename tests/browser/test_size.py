"""What a visitor downloads, and that other people's code is what its table says."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

STATIC = Path(__file__).resolve().parents[2] / "static"
MAX_BYTES = 60_000
IMPORT = re.compile(r"""^import\s+(?:[^"';]*?from\s+)?["'](\.[^"']+)["']""", re.MULTILINE)


def imported_by(module: Path) -> set[Path]:
    """The module and everything it imports before it can run; not what it fetches when it is needed."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        if "vendor" not in path.parts:
            waiting += [(path.parent / name).resolve() for name in IMPORT.findall(path.read_text())]
    return found


def eager_files() -> set[Path]:
    styles = {STATIC / "chat" / "theme.css", STATIC / "chat" / "chat.css"}
    return {STATIC / "widget" / "widget.js"} | styles | imported_by(STATIC / "chat" / "app.js")


def test_the_widget_with_markdown_and_sanitiser_stays_within_its_budget() -> None:
    sizes = {path.name: len(gzip.compress(path.read_bytes(), 9)) for path in eager_files()}
    assert sum(sizes.values()) <= MAX_BYTES, sorted(sizes.items(), key=lambda item: -item[1])


def test_the_budget_counts_markdown_and_sanitiser_and_leaves_out_formulas() -> None:
    names = {path.name for path in eager_files()}
    assert {"marked.esm.js", "purify.min.js", "session.js", "strings.js"} <= names
    assert not names & {"katex.min.js", "core.min.js", "strings.zh-hans.js", "history.js"}


def test_every_vendored_file_is_the_one_in_the_table() -> None:
    table = (STATIC / "vendor" / "README.md").read_text()
    rows = dict(re.findall(r"^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$", table, re.MULTILINE))
    files = {
        str(path.relative_to(STATIC / "vendor")): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (STATIC / "vendor").rglob("*.js")
    }
    assert files == rows


def test_every_vendored_folder_has_its_licence() -> None:
    folders = [folder for folder in (STATIC / "vendor").iterdir() if folder.is_dir()]
    assert folders
    assert all((folder / "LICENSE").stat().st_size > 500 for folder in folders)
