"""Makes a converted folder from a GGUF file or a folder of safetensors.

Done once per source (by sha256), quantization and kernel. Query, key and value become one matrix, gate
and up another. For int4 every matrix is written twice: packed, and as bf16 of the same values for prefill.
Models of another architecture are copied as they are, for the transformers fallback.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch

from inference.engine.checkpoint import CheckpointWriter, Manifest, write_once
from inference.engine.config import ModelConfig, Quantization, is_lean
from inference.engine.errors import ModelRefused
from inference.engine.gguf import GgufSource
from inference.engine.linear import GROUP_SIZE, pack_int4, unpack_affine
from inference.engine.quantize import Affine, concatenate, fit_int4
from inference.engine.safetensors_folder import SafetensorsSource

Progress = Callable[[int, int], None]
TRANSFORMERS_KERNEL = "transformers"
STORED_AS = {"int4": "int4", "bf16": "bf16", "nf4": "bf16", "int8": "bf16", "f32": "f32"}
KERNELS = {"int4": f"int4pack-cpu-g{GROUP_SIZE}", "bf16": "dense-bf16", "f32": "dense-f32"}
FUSED = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "output": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
NORMS = {"attention_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm"}


class Source(Protocol):
    config: dict
    path: Path

    def __contains__(self, name: str) -> bool: ...
    def dense(self, name: str) -> torch.Tensor: ...
    def affine(self, name: str) -> Affine | None: ...


def convert_weights(
    source: Path,
    target: Path,
    *,
    quantization: Quantization = "int4",
    progress: Progress | None = None,
    source_sha256: str | None = None,
) -> Path:
    """Write the converted folder `target` unless it is there already; returns it.

    `progress(done, total)` counts layers (and the embedding as one). nf4 and int8 store bf16 and are
    quantized on their device when loaded. `source_sha256` saves reading the file once more.
    Raises ModelRefused; then, and when interrupted, `target` is as it was.
    """
    source, target = Path(source), Path(target)
    opened: GgufSource | SafetensorsSource
    opened = GgufSource(source) if source.suffix == ".gguf" else SafetensorsSource(source)
    stored = STORED_AS[quantization]
    manifest = Manifest(
        source_sha256=source_sha256 or source_hash(source),
        quantization=stored,
        kernel=KERNELS[stored] if is_lean(opened.config) else TRANSFORMERS_KERNEL,
        architecture=(opened.config.get("architectures") or ["unknown"])[0],
    )

    def fill(writer: CheckpointWriter) -> None:
        if is_lean(opened.config):
            Conversion(opened, writer, stored).run(progress or (lambda done, total: None))
        elif isinstance(opened, SafetensorsSource):
            for file in [*opened.files, *source.glob("*.json")]:
                if file.name != "config.json":
                    writer.copy(file)
        else:
            raise ModelRefused(
                f"{source} uses a rotary variant that GGUF import does not know; use safetensors."
            )

    write_once(target, manifest, opened.config, fill)
    return target


def source_hash(source: Path) -> str:
    """sha256 of a file, or of a folder's safetensors and config (names and contents)."""
    if source.is_file():
        return _sha256(source)
    digest = hashlib.sha256()
    for file in sorted([*source.glob("*.safetensors"), source / "config.json"]):
        digest.update(f"{file.name}:{_sha256(file)}\n".encode())
    return digest.hexdigest()


class Conversion:
    """One pass over the layers of a lean model."""

    def __init__(self, source: Source, writer: CheckpointWriter, quantization: str) -> None:
        self.source, self.writer = source, writer
        self.config = ModelConfig.parse(source.config)
        self.is_int4 = quantization == "int4"
        self.dtype = torch.float32 if quantization == "f32" else torch.bfloat16
        if self.is_int4:
            self._check_shapes()

    def run(self, progress: Progress) -> None:
        total = self.config.num_layers + 1
        for index in range(self.config.num_layers):
            self._layer(index)
            progress(index + 1, total)
        self._ends()
        progress(total, total)

    def _layer(self, index: int) -> None:
        small: dict[str, torch.Tensor] = {}
        dense: dict[str, torch.Tensor] = {}
        for name, stems in FUSED.items():
            sources = [f"model.layers.{index}.{stem}" for stem in stems]
            matrix, packed = self._matrix([f"{source}.weight" for source in sources])
            dense[f"layers.{index}.{name}.weight"] = matrix
            small |= {f"layers.{index}.{name}.{kind}": tensor for kind, tensor in packed.items()}
            if f"{sources[0]}.bias" in self.source:
                biases = [self.source.dense(f"{source}.bias") for source in sources]
                small[f"layers.{index}.{name}.bias"] = torch.cat(biases)
        for name, stem in NORMS.items():
            small[f"layers.{index}.{name}"] = self.source.dense(f"model.layers.{index}.{stem}.weight")
        self.writer.add(f"layer-{index:03}.safetensors", small)
        self.writer.add(f"layer-{index:03}-dense.safetensors", dense)

    def _matrix(self, names: list[str]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The fused matrix as the dense kernel reads it, and what the packed kernel reads, if wanted."""
        if not self.is_int4:
            return torch.cat([self.source.dense(name).to(self.dtype) for name in names]), {}
        parts = [self.source.affine(name) or fit_int4(self.source.dense(name)) for name in names]
        return _pack(concatenate(parts))

    def _ends(self) -> None:
        """Embedding, last norm and head. The head's dense rows stay unquantized: they settle the logits."""
        embedding = self.source.dense("model.embed_tokens.weight").to(self.dtype)
        tensors = {"embedding": embedding, "norm": self.source.dense("model.norm.weight")}
        if "rope_factors" in self.source:
            tensors["rope_factors"] = self.source.dense("rope_factors")
        head = embedding
        if not self.config.is_tied and "lm_head.weight" in self.source:
            head = tensors["head.weight"] = self.source.dense("lm_head.weight").to(self.dtype)
        if self.is_int4:
            packed = _pack(fit_int4(head.float()))[1]
            tensors |= {f"head.{kind}": tensor for kind, tensor in packed.items()}
        self.writer.add("ends.safetensors", tensors)

    def _check_shapes(self) -> None:
        shapes = (self.config.hidden_size, self.config.intermediate_size, self.config.vocab_size)
        if any(size % GROUP_SIZE for size in shapes):
            raise ModelRefused(
                f"int4 needs hidden, intermediate and vocabulary sizes in multiples of {GROUP_SIZE}; this "
                f"model has {shapes}. Choose bf16."
            )


def _pack(affine: Affine) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    scales = affine.packed_scales()
    dense = unpack_affine(affine.codes, scales).bfloat16()
    return dense, {"packed": pack_int4(affine.codes), "scales": scales}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
