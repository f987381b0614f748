"""Bad input to `manage.py up` ends with one line that has the remedy, a code, and nothing half-made."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from chatbot.env import ROOT


def up(data_dir: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "DATA_DIR": str(data_dir), "DATABASE_URL": "", **settings}
    return subprocess.run(
        [sys.executable, "manage.py", "up"], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60
    )


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    said = done.stderr.strip()
    assert done.returncode != 0
    assert len(said.splitlines()) == 1, said
    for word in words:
        assert word in said


def test_busy_port(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        done = up(tmp_path, PORT=str(number))
    assert_refused(done, f"PORT={number}", "make run PORT=")
    assert not (tmp_path / "db.sqlite3").exists() or (tmp_path / "db.sqlite3").stat().st_size == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"PARLEY_PROT": "9000"}, ["PARLEY_PROT", "Did you mean PORT"]),
        ({"DATABASE_URL": "postgresql://127.0.0.1:1/"}, ["DATABASE_URL", "names no database"]),
        ({"DATABASE_URL": "postgresql://u:p@127.0.0.1:1/parley"}, ["does not answer", "unset it"]),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, ["REDIS_URL does not answer", "unset it"]),
        ({"ENGINE_API_KEY": "k"}, ["ENGINE_API_KEY", "ENGINE_URL"]),
        ({"MODEL": "no-such-model"}, ["no-such-model"]),
    ],
    ids=[
        "unknown setting",
        "no database named",
        "database away",
        "redis away",
        "half an upstream",
        "no model",
    ],
)
def test_settings_that_cannot_work(tmp_path: Path, settings: dict[str, str], words: list[str]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = str(probe.getsockname()[1])
    assert_refused(up(tmp_path, PORT=free, **settings), *words)


def test_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_refused(up(tmp_path / "file" / "var"), "DATA_DIR", "Name a folder of your own")


def test_wrong_python_is_refused_by_make(tmp_path: Path) -> None:
    fake = tmp_path / "python3.9"
    fake.write_text("#!/bin/sh\n[ \"$1\" = -V ] && echo 'Python 3.9.1'\nexit 1\n")
    fake.chmod(0o755)
    done = subprocess.run(
        ["make", "run", f"PYTHON={fake}", f"VENV={tmp_path}/venv"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "is Python 3.9.1, and Parley needs Python 3.11" in done.stdout
    assert not (tmp_path / "venv").exists()
