"""Settings are read from environment and file, and what cannot be used is refused with a remedy."""

from pathlib import Path

import pytest

from chatbot import env


def test_default_holds_when_nothing_is_set(tmp_path: Path) -> None:
    assert env.load({"DATA_DIR": str(tmp_path)})["PORT"] == 8000


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "parley.env").write_text("PORT=9000\n")
    assert env.load({"DATA_DIR": str(tmp_path)})["PORT"] == 9000
    assert env.load({"DATA_DIR": str(tmp_path), "PORT": "9100"})["PORT"] == 9100


def test_secret_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    values = env.load({"DATA_DIR": str(tmp_path), "METRICS_TOKEN_FILE": str(tmp_path / "token")})
    assert values["METRICS_TOKEN"] == "s3cret"


def test_misspelt_setting_is_refused_and_the_right_one_named(tmp_path: Path) -> None:
    (tmp_path / "parley.env").write_text("ENGINE_THREDS=2\n")
    with pytest.raises(env.SettingError, match="Did you mean ENGINE_THREADS"):
        env.load({"DATA_DIR": str(tmp_path)})


def test_unknown_prefixed_variable_is_refused(tmp_path: Path) -> None:
    with pytest.raises(env.SettingError, match="PARLEY_PROT"):
        env.load({"DATA_DIR": str(tmp_path), "PARLEY_PROT": "1"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("PORT", "0"),
        ("PORT", "abc"),
        ("DATABASE_URL", "mysql://x/y"),
        ("REDIS_URL", "localhost:6379"),
        ("DEBUG", "maybe"),
    ],
)
def test_bad_value_is_refused_with_its_name(tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(env.SettingError, match=key):
        env.load({"DATA_DIR": str(tmp_path), key: value})


def test_refused_secret_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(env.SettingError) as caught:
        env.load({"DATA_DIR": str(tmp_path), "REDIS_URL": "mysql://user:hunter2@host"})
    assert "hunter2" not in str(caught.value)
