"""Reads a folder of safetensors as Hugging Face writes it, and refuses everything that could run code.

Pickles, `auto_map` (remote code), and links that lead out of the folder are refused before a byte of
weights is read.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from inference.engine.config import read_config
from inference.engine.errors import ModelRefused
from inference.engine.quantize import Affine

PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}


class SafetensorsSource:
    """A checked folder. Raises ModelRefused."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        check_folder(folder)
        self.config = read_config(folder)
        self.files = sorted(folder.glob("*.safetensors"))
        self._places = {name: file for file in self.files for name in _names(file)}

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def dense(self, name: str) -> torch.Tensor:
        """One tensor, fp32."""
        if name not in self._places:
            raise ModelRefused(f"{self.path} lacks the tensor {name}; fetch the whole model again.")
        with safe_open(self._places[name], framework="pt") as file:
            return file.get_tensor(name).float()

    def affine(self, name: str) -> Affine | None:
        """Plain safetensors hold no int4 codes."""
        return None


def check_folder(folder: Path) -> None:
    """Raises ModelRefused unless the folder is plain data: safetensors, no code, no links out of it."""
    if not folder.is_dir():
        raise ModelRefused(f"{folder} is no folder; give a GGUF file or a folder with safetensors.")
    root = folder.resolve()
    for path in folder.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise ModelRefused(f"{path} links out of the model folder; copy the file itself into it.")
        if path.suffix in PICKLES:
            raise ModelRefused(f"{path} may hold a pickle, which can run code; only safetensors are read.")
    if not list(folder.glob("*.safetensors")):
        raise ModelRefused(f"{folder} holds no *.safetensors file; nothing else is read.")
    for path in folder.glob("*.json"):
        if '"auto_map"' in path.read_text(encoding="utf-8", errors="replace"):
            raise ModelRefused(f"{path} asks to run code of its own (auto_map); such models are not loaded.")


def _names(file: Path) -> list[str]:
    try:
        with safe_open(file, framework="pt") as opened:
            return list(opened.keys())
    except (OSError, SafetensorError) as error:
        raise ModelRefused(f"{file} is damaged ({error}); fetch it again.") from error
