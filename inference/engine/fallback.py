"""Models our own decoder does not compute, run by transformers behind the same interface.

One forward pass per sequence, with a cache of its own; no shared prefixes. Correct rather than fast.
Code that comes with a model is never run.
"""

from pathlib import Path
from typing import Any

import torch

from inference.engine.config import EngineConfig
from inference.engine.errors import ModelRefused
from inference.engine.scheduler import Chunk
from inference.engine.sequence import Sequence


class TransformersRunner:
    def __init__(self, model: Any) -> None:
        self.model = model
        self._caches: dict[str, Any] = {}

    @torch.inference_mode()
    def run(self, chunks: list[Chunk]) -> torch.Tensor:
        rows = [self._advance(chunk) for chunk in chunks]
        sampled = [row for row, chunk in zip(rows, chunks, strict=True) if chunk.is_sampled]
        return torch.stack(sampled) if sampled else torch.empty(0, self.model.config.vocab_size)

    def forget(self, sequence: Sequence) -> None:
        self._caches.pop(sequence.request.id, None)

    @property
    def num_caches(self) -> int:
        return len(self._caches)

    def _advance(self, chunk: Chunk) -> torch.Tensor:
        """Logits fp32 [V] after the chunk's last token."""
        sequence = chunk.sequence
        if chunk.start == 0:
            self.forget(sequence)  # new, or preempted and computed again
        ids = torch.tensor([sequence.tokens[chunk.start : chunk.end]], device=self.model.device)
        out = self.model(
            input_ids=ids,
            past_key_values=self._caches.get(sequence.request.id),
            use_cache=True,
            logits_to_keep=1,
        )
        self._caches[sequence.request.id] = out.past_key_values
        logits: torch.Tensor = out.logits[0, -1].float()
        return logits


def load_fallback(folder: Path, config: EngineConfig) -> tuple[TransformersRunner, int, int]:
    """Runner, context length and vocabulary size of a folder that transformers knows."""
    if config.quantization not in ("bf16", "f32", "int4"):
        raise ModelRefused(f"{config.quantization} is offered for Llama and Qwen2 models only; choose bf16.")
    from transformers import AutoModelForCausalLM, PreTrainedModel

    dtype = torch.float32 if config.quantization == "f32" else torch.bfloat16
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, trust_remote_code=False, local_files_only=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelRefused(f"transformers cannot load {folder}: {error}") from error
    model.to(torch.device(config.device)).eval()  # type: ignore[arg-type]
    text = model.config.get_text_config()
    positions = int(getattr(text, "max_position_embeddings", config.max_context))
    return TransformersRunner(model), min(config.max_context, positions), int(text.vocab_size)
