"""What an operator may set, in one table: name, default, meaning, how it is read.

Values come from the process environment, then from `<DATA_DIR>/parley.env`; `NAME_FILE` names a file
that holds the value (for secrets). A key that nobody reads is refused, because a misspelt setting that
is silently ignored costs its operator an evening. Used by `settings`, `doctor` and the README's table.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent


class SettingError(Exception):
    """A setting cannot be used. The message has the value seen, why it matters and the remedy."""


def as_text(value: str) -> str:
    return value


def as_bool(value: str) -> bool:
    if value.lower() in {"1", "true", "yes", "on"}:
        return True
    if value.lower() in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError("write 1 or 0")


def as_count(value: str) -> int:
    number = int(value)
    if number < 0:
        raise ValueError("write a whole number from 0 up")
    return number


def as_port(value: str) -> int:
    number = int(value)
    if not 0 < number < 65536:
        raise ValueError("write a port between 1 and 65535")
    return number


def as_list(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def as_path(value: str) -> Path:
    return Path(value).expanduser().resolve()


def as_url(*schemes: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in schemes or not (parts.netloc or parts.path)):
            raise ValueError(f"write a URL that starts with {' or '.join(s + '://' for s in schemes)}")
        return value

    return read


def as_log_level(value: str) -> str:
    if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise ValueError("write DEBUG, INFO, WARNING or ERROR")
    return value.upper()


@dataclass(frozen=True)
class Setting:
    name: str
    default: str
    meaning: str
    read: Callable[[str], Any] = as_text
    is_secret: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting("DATA_DIR", str(ROOT / "var"), "where everything that must be kept is kept", as_path),
    Setting("SECRET_KEY", "", "signs sessions; made once and kept in DATA_DIR when unset", is_secret=True),
    Setting("DEBUG", "0", "error pages with details; never on a public host", as_bool),
    Setting("HOST", "127.0.0.1", "the address the web process listens on"),
    Setting("PORT", "8000", "the port the web process listens on", as_port),
    Setting("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]", "host names served, comma separated", as_list),
    Setting(
        "PUBLIC_URL", "", "the address people use, e.g. https://chat.example.org", as_url("http", "https")
    ),
    Setting("TRUSTED_PROXIES", "0", "how many proxies in front set X-Forwarded-For", as_count),
    Setting(
        "DATABASE_URL",
        "",
        "PostgreSQL; SQLite in DATA_DIR when unset",
        as_url("postgres", "postgresql"),
        True,
    ),
    Setting(
        "REDIS_URL",
        "",
        "Redis or Valkey; a private Valkey when unset",
        as_url("redis", "rediss", "unix"),
        True,
    ),
    Setting("MODELS_DIR", "", "where models are kept; DATA_DIR/models when unset"),
    Setting(
        "MODEL", "qwen2.5-coder-0.5b-instruct", "catalogue name, safetensors folder, GGUF file or hub id"
    ),
    Setting("QUANTIZATION", "auto", "auto, int4, bf16, nf4 or int8"),
    Setting(
        "ENGINE_URL",
        "",
        "an OpenAI-compatible upstream; the embedded engine when unset",
        as_url("http", "https"),
    ),
    Setting("ENGINE_API_KEY", "", "bearer key for ENGINE_URL", is_secret=True),
    Setting("ENGINE_MODEL", "", "the model's name at ENGINE_URL; the first one listed when unset"),
    Setting("ENGINE_THREADS", "0", "torch threads of the embedded engine; 0: one per core", as_count),
    Setting("ENGINE_MAX_STREAMS", "16", "answers generated at the same time", as_count),
    Setting("ENGINE_MAX_WAITING", "64", "requests that may wait; further ones get 429", as_count),
    Setting("ENGINE_KV_TOKENS", "32768", "tokens the KV cache holds", as_count),
    Setting("HF_TOKEN", "", "for models on a hub that ask for one", is_secret=True),
    Setting(
        "EMAIL_URL",
        "",
        "smtp://user:password@host:port; mails go to DATA_DIR/mail when unset",
        as_url("smtp", "smtps"),
        True,
    ),
    Setting("DEFAULT_FROM_EMAIL", "parley@localhost", "sender of mails"),
    Setting("METRICS_TOKEN", "", "bearer token for /metrics; closed when unset", is_secret=True),
    Setting("STAFF_MFA", "1", "staff must use a second factor", as_bool),
    Setting("SIGNUP_OPEN", "1", "people may create accounts", as_bool),
    Setting("LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR", as_log_level),
    Setting("TIME_ZONE", "UTC", "the operator's time zone"),
    Setting("OTEL_EXPORTER_OTLP_ENDPOINT", "", "where traces go", as_url("http", "https")),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}


def read_file(path: Path) -> dict[str, str]:
    """Parse KEY=value lines; blank lines and lines from # on are skipped."""
    values: dict[str, str] = {}
    if not path.is_file():
        return values
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        key, separator, value = line.partition("=")
        if not separator:
            raise SettingError(f"{path}:{number}: {line!r} is not KEY=value. Write one setting a line.")
        values[key.strip()] = value.strip().strip("\"'")
    return values


def refuse_unknown(keys: list[str], *, where: str) -> None:
    for key in keys:
        name = key.removeprefix("PARLEY_").removesuffix("_FILE")
        if name not in BY_NAME:
            near = difflib.get_close_matches(name, BY_NAME, n=1)
            hint = f"Did you mean {near[0]}?" if near else "See the configuration table in README.md."
            raise SettingError(f"{where}: there is no setting {key}. {hint}")


def load(environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """All settings, read and checked. Raises SettingError on the first that cannot be used.

    `PARLEY_NAME` is accepted for every `NAME`, for hosts on which a plain name is taken.
    """
    ours = {key: value for key, value in environ.items() if key.startswith("PARLEY_")}
    refuse_unknown(list(ours), where="environment")
    data_dir = as_path(ours.get("PARLEY_DATA_DIR") or environ.get("DATA_DIR") or BY_NAME["DATA_DIR"].default)
    stored = read_file(data_dir / "parley.env")
    refuse_unknown(list(stored), where=str(data_dir / "parley.env"))
    return {
        setting.name: _read(setting, environ, stored) for setting in SETTINGS if setting.name != "DATA_DIR"
    } | {"DATA_DIR": data_dir}


def _read(setting: Setting, environ: Mapping[str, str], stored: Mapping[str, str]) -> Any:
    for source in (environ, stored):
        for key in (f"PARLEY_{setting.name}", setting.name):
            if key in source:
                return _parse(setting, source[key])
            if f"{key}_FILE" in source:
                return _parse(setting, _secret_file(setting, Path(source[f"{key}_FILE"])))
    return setting.read(setting.default)


def _parse(setting: Setting, value: str) -> Any:
    try:
        return setting.read(value)
    except ValueError as error:
        seen = "(hidden)" if setting.is_secret else repr(value)
        raise SettingError(f"{setting.name}={seen} cannot be used ({setting.meaning}): {error}.") from None


def _secret_file(setting: Setting, path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise SettingError(
            f"{setting.name}_FILE={path} cannot be read: {error.strerror}. Name a readable file, or unset it."
        ) from None
