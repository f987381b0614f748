"""The services agree with the embedded form: same processes, same settings, same values."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command

from chatbot import env, model, paths, processes
from tests.docker.files import COMPOSE, DOCKER, OWN, ROOT, SERVICES, example_lines, image_environment

STARTED = {name: service for name, service in OWN.items() if name != "migrate"}


def table() -> dict[str, list[str]]:
    return {process.name: process.argv for process in processes.table(model_folder=Path("/models/one"))}


def option(argv: list[str], name: str) -> str:
    return argv[argv.index(name) + 1]


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """A copy of docker/ in which prepare.sh ran."""
    for name in ("prepare.sh", "env.example"):
        shutil.copy(DOCKER / name, tmp_path / name)
    subprocess.run([str(tmp_path / "prepare.sh")], check=True, capture_output=True)
    return tmp_path


def test_every_process_of_the_table_has_a_service_that_starts_it() -> None:
    commands = {name: service["command"] for name, service in STARTED.items()}
    expected = {name: ["python", "manage.py", "start", name] for name in table() if name != "valkey"}
    assert commands == expected


@pytest.mark.parametrize("name", STARTED)
def test_start_becomes_what_the_supervisor_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda path, argv: became.append(argv))
    monkeypatch.setattr(model, "prepare", lambda: Path("/models/one"))
    call_command("start", name)
    assert became == [table()[name]]


@pytest.mark.parametrize("name", OWN)
def test_every_value_given_to_parley_is_a_setting(name: str) -> None:
    names = {key.removesuffix("_FILE") for key in OWN[name]["environment"]}
    assert names - set(env.BY_NAME) == set()


def test_every_line_of_the_example_is_a_setting_that_can_be_read(tmp_path: Path) -> None:
    lines = example_lines()
    assert set(lines) - set(env.BY_NAME) == set()
    env.load({**lines, "DATA_DIR": str(tmp_path)})


def test_nothing_is_set_both_in_the_example_and_in_compose() -> None:
    fixed = {key.removesuffix("_FILE") for service in OWN.values() for key in service["environment"]}
    assert fixed & set(example_lines()) == set()


def test_the_settings_of_a_container_can_be_loaded(prepared: Path) -> None:
    """Image, compose and prepared files together, with the secrets where prepare.sh put them."""
    given = {
        name: value.replace("/run/secrets", str(prepared / "secrets"))
        for name, value in OWN["web"]["environment"].items()
    }
    seen = env.load({**image_environment(), **env.read_file(prepared / "env"), **given})
    password = (prepared / "secrets" / "postgres_password").read_text()
    user, database = (SERVICES["postgres"]["environment"][f"POSTGRES_{key}"] for key in ("USER", "DB"))
    assert seen["DATABASE_URL"] == f"postgresql://{user}:{password}@postgres:5432/{database}"
    assert (seen["HOST"], seen["TRUSTED_PROXIES"]) == ("0.0.0.0", 1)
    assert len(seen["SECRET_KEY"]) == len(seen["METRICS_TOKEN"]) == 64
    assert seen["REDIS_URL"].startswith("redis://valkey:")


def test_preparing_again_keeps_every_secret(prepared: Path) -> None:
    before = {path.name: path.read_text() for path in (prepared / "secrets").iterdir()}
    subprocess.run([str(prepared / "prepare.sh")], check=True, capture_output=True)
    assert {path.name: path.read_text() for path in (prepared / "secrets").iterdir()} == before
    assert len(set(before.values())) == len(before)


def test_secrets_are_closed_to_other_users_of_the_host(prepared: Path) -> None:
    assert stat.S_IMODE((prepared / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((prepared / "env").stat().st_mode) == 0o600


def test_every_secret_that_compose_names_is_prepared(prepared: Path) -> None:
    used = {name for service in SERVICES.values() for name in service.get("secrets", [])}
    assert used == set(COMPOSE["secrets"])
    assert all((prepared / secret["file"]).is_file() for secret in COMPOSE["secrets"].values())


def test_every_file_and_volume_that_is_mounted_exists() -> None:
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in COMPOSE["volumes"] or (DOCKER / source).is_file(), mount


@pytest.mark.parametrize("name", ["web", "worker", "engine"])
def test_the_engines_socket_is_shared(name: str) -> None:
    data = Path(image_environment()["DATA_DIR"])
    assert {f"data:{data}", f"run:{paths.run_dir(data)}"} <= set(OWN[name]["volumes"])


def test_valkey_keeps_what_the_private_one_keeps() -> None:
    private, grown = table()["valkey"], SERVICES["valkey"]["command"]
    for name in ("--appendonly", "--save", "--maxmemory", "--maxmemory-policy"):
        assert option(grown, name) == option(private, name), name


def test_the_trainers_health_check_asks_for_its_name() -> None:
    asked = SERVICES["trainer"]["healthcheck"]["test"]
    assert option(asked, "-d") == option(table()["trainer"], "-n")


def test_beats_health_check_looks_at_its_pid_file() -> None:
    pid_file = Path(option(table()["beat"], "--pidfile"))
    inside = paths.run_dir(Path(image_environment()["DATA_DIR"]))
    assert SERVICES["beat"]["healthcheck"]["test"][-1] == str(inside / pid_file.relative_to(settings.RUN_DIR))


def test_only_the_proxy_is_published_and_to_this_machine_alone() -> None:
    published: dict[str, Any] = {name: s["ports"] for name, s in SERVICES.items() if "ports" in s}
    assert published == {"proxy": ["127.0.0.1:8080:8080"]}


def test_secrets_and_settings_of_an_installation_are_never_committed_or_sent_to_a_build() -> None:
    assert {"env", "secrets/"} <= set((DOCKER / ".gitignore").read_text().split())
    ignored = (ROOT / ".dockerignore").read_text().split("\n")
    let_in = {line for line in ignored if line.startswith("!")}
    assert "*" in ignored
    assert {line for line in let_in if line.startswith("!docker")} == {
        "!docker/health.py",
        "!docker/requirements",
    }
