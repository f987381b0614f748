"""A model made ready: a folder that the engine process can serve at once, and what it says of itself.

`model.json` is ours; `manifest.json` and the weights belong to `inference.engine.convert`. Also names the
folder of a source of one's own and sees that the source is whole.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from inference.serving.catalogue import ModelError

CARD_NAME = "model.json"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class ModelFolder:
    """`context_length` in tokens; `kind` is chat or embeddings."""

    path: Path
    name: str
    kind: str
    quantization: str
    context_length: int
    licence: str

    @classmethod
    def read(cls, path: Path) -> ModelFolder:
        """Raises ModelError when the folder was not made by `prepare`."""
        try:
            return cls(path=path, **json.loads((path / CARD_NAME).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(
                f"{path} is no prepared model ({error}): run python -m inference.serving.prepare NAME."
            ) from error

    def write(self) -> None:
        card = {key: value for key, value in asdict(self).items() if key != "path"}
        (self.path / CARD_NAME).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def is_prepared(path: Path) -> bool:
    """The card is written last, so it stands for the whole."""
    return (path / CARD_NAME).is_file()


def is_hub_id(text: str) -> bool:
    return HUB_ID.fullmatch(text) is not None


def name_of(path: Path) -> str:
    """A folder name for a source of one's own: its name, and a mark that changes when its bytes do."""
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    seen = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    mark = hashlib.sha256(repr((str(path.resolve()), seen)).encode()).hexdigest()[:8]
    stem = path.stem if path.is_file() else path.name
    return f"{re.sub(r'[^a-z0-9.]+', '-', stem.lower()).strip('-')}-{mark}"


def check_source(path: Path) -> None:
    """Refuse what is no model or half of one. What could run code is refused by the conversion."""
    if path.is_file():
        if path.suffix != ".gguf":
            raise ModelError(f"{path} is not a GGUF file: name a .gguf file or a folder of safetensors.")
        return
    for wanted in ("config.json", "tokenizer.json"):
        if not (path / wanted).is_file():
            raise ModelError(f"{path} has no {wanted}: name a complete folder, as save_pretrained writes it.")
