"""The Dockerfile names what exists, pins what the requirements pin, and its health check tells the truth."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from django.conf import settings

from chatbot import paths
from tests.docker.files import DOCKER, DOCKERFILE, OWN, ROOT, image_environment, instructions
from tests.support.scripted_engine import ScriptedEngine, free_port


def health(name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "docker/health.py", name],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_hadolint_finds_nothing() -> None:
    program = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert program, "hadolint is in tests/requirements.txt: install that again"
    done = subprocess.run([program, "--no-color", str(DOCKER / "Dockerfile")], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)


def test_everything_copied_exists_and_is_let_into_the_build() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")}
    sources = {word for words in instructions("COPY") if "--from" not in words[0] for word in words[:-1]}
    assert [source for source in sorted(sources) if not (ROOT / source).exists()] == []
    assert sources == let_in


def test_torch_is_installed_alone_and_as_the_requirements_pin_it() -> None:
    pinned = re.search(r"^torch==\S+", (DOCKER / "requirements" / "engine.txt").read_text(), flags=re.M)
    installed = [words for words in instructions("RUN") if any("torch==" in word for word in words)]
    assert pinned
    assert installed == [["pip", "install", pinned[0], "-c", "/requirements/constraints.txt"]]


def test_the_webs_packages_hold_no_torch() -> None:
    web = DOCKERFILE.split("AS web-packages")[1].split("FROM")[0]
    assert "web.txt" in web
    assert "engine.txt" not in web


def test_every_install_keeps_to_the_constraints() -> None:
    installs = [words for words in instructions("RUN") if words[:2] == ["pip", "install"]]
    assert installs
    assert all("/requirements/constraints.txt" in words for words in installs)


def test_both_images_run_as_an_ordinary_user() -> None:
    assert instructions("USER") == [["10001"]]
    assert all(f"FROM app AS {OWN[name]['build']['target']}" in DOCKERFILE for name in OWN)


def test_the_image_listens_where_the_health_check_and_the_proxy_ask() -> None:
    assert instructions("EXPOSE") == [[image_environment()["PORT"]]]


def test_a_ready_engine_is_healthy(tmp_path: Path) -> None:
    """At the path that the settings give the engine for that DATA_DIR."""
    socket = (
        paths.run_dir(Path("/var/lib/parley")).relative_to("/var/lib/parley") / settings.ENGINE_SOCKET.name
    )
    (tmp_path / socket).parent.mkdir()
    with ScriptedEngine() as engine:
        (tmp_path / socket).symlink_to(engine.socket_path)
        assert health("engine", DATA_DIR=str(tmp_path)).returncode == 0
    assert health("engine", DATA_DIR=str(tmp_path)).returncode == 1


def test_a_web_that_is_away_is_not_healthy() -> None:
    seen = health("web", PORT=str(free_port()))
    assert seen.returncode == 1
    assert "web does not answer" in seen.stdout
