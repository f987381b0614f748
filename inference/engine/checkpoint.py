"""A converted folder: written once and atomically, mapped at every start.

    manifest.json   format, source_sha256, quantization, kernel, where each tensor lies and every file's size
    config.json     the model's configuration, in Hugging Face's form
    *.safetensors   one file per layer and form, so that neither writing nor mapping needs much memory

The manifest is written last and the folder renamed into place: a half-converted folder has another name
and no manifest, and is never used. The serving package adds its tokenizer files.
"""

import json
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from inference.engine.errors import ModelRefused

FORMAT = 1
MANIFEST = "manifest.json"


@dataclass(slots=True)
class Manifest:
    source_sha256: str
    quantization: str
    kernel: str
    architecture: str
    format: int = FORMAT
    tensors: dict[str, str] = field(default_factory=dict)
    file_bytes: dict[str, int] = field(default_factory=dict)


class CheckpointWriter:
    """Collects files in a folder beside `target`, which appears whole or not at all."""

    def __init__(self, target: Path, manifest: Manifest, config: dict[str, Any]) -> None:
        self.target, self.manifest = target, manifest
        target.parent.mkdir(parents=True, exist_ok=True)
        self.folder = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}.tmp"
        self.folder.mkdir()
        (self.folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")

    def add(self, file_name: str, tensors: dict[str, torch.Tensor]) -> None:
        path = self.folder / file_name
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
        path.chmod(0o644)  # the engine may run as another user than the one who converted
        self.manifest.tensors |= dict.fromkeys(tensors, file_name)
        self.manifest.file_bytes[file_name] = path.stat().st_size

    def copy(self, source: Path) -> None:
        shutil.copyfile(source, self.folder / source.name)
        self.manifest.file_bytes[source.name] = source.stat().st_size

    def commit(self) -> None:
        """Rename into place. A usable folder that appeared meanwhile wins; an unusable one is replaced."""
        (self.folder / MANIFEST).write_text(json.dumps(asdict(self.manifest), indent=1), encoding="utf-8")
        if self.target.exists():
            if _is_same(self.target, self.manifest):
                return self.discard()
            old = self.folder.with_suffix(".old")
            self.target.rename(old)
            os.rename(self.folder, self.target)
            return shutil.rmtree(old)
        return os.rename(self.folder, self.target)

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class Checkpoint:
    """A converted folder, open for mapping. Raises ModelRefused if it is none, or damaged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        self._files: dict[str, Any] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.manifest.tensors

    def get(self, name: str) -> torch.Tensor:
        """One tensor, mapped from its file: pages are read when they are used."""
        try:
            file_name = self.manifest.tensors[name]
            if file_name not in self._files:
                self._files[file_name] = safe_open(self.folder / file_name, framework="pt")
            tensor: torch.Tensor = self._files[file_name].get_tensor(name)
            return tensor
        except (KeyError, OSError, SafetensorError) as error:
            raise ModelRefused(
                f"{self.folder} lacks tensor {name!r} ({error}); remove the folder and convert again."
            ) from error


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a whole folder. Raises ModelRefused: none, of another format, or files cut short."""
    try:
        manifest = Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ModelRefused(
            f"{folder} is no converted model ({error}); run the conversion on its source."
        ) from error
    if manifest.format != FORMAT:
        raise ModelRefused(
            f"{folder} has format {manifest.format}, this engine reads {FORMAT}: convert again."
        )
    for name, size in manifest.file_bytes.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            raise ModelRefused(
                f"{path} is missing or not {size} bytes long; remove {folder} and convert again."
            )
    return manifest


def write_once(
    target: Path, manifest: Manifest, config: dict[str, Any], fill: Callable[[CheckpointWriter], None]
) -> None:
    """Create `target` by `fill`, unless the same conversion is already there."""
    if _is_same(target, manifest):
        return
    writer = CheckpointWriter(target, manifest, config)
    try:
        fill(writer)
        writer.commit()
    except BaseException:
        writer.discard()
        raise


def _is_same(folder: Path, manifest: Manifest) -> bool:
    try:
        found = read_manifest(folder)
    except ModelRefused:
        return False
    keys = ("source_sha256", "quantization", "kernel")
    return all(getattr(found, key) == getattr(manifest, key) for key in keys)
