"""Single-stream decoding against transformers' `generate`, interleaved in one run.

    python -m inference.engine.bench MODEL_DIR [--json] [--rounds 5] [--tokens 48] [--prompt 64]

transformers gets the same values in bf16 (its usual CPU form). Each round runs ours, then theirs, so that
a noisy neighbour meets both; medians are compared. Also times prefill of 512 and 1,024 tokens. The last
line of the output is one JSON object.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from inference.engine import Engine, EngineConfig, Request, Sampling
from inference.engine.checkpoint import Checkpoint
from inference.engine.oracle import oracle_model

PREFILL_LENGTHS = (512, 1024)


def main() -> None:
    args = parse_args()
    folder = Path(args.model_dir)
    quantization = Checkpoint(folder).manifest.quantization
    config = EngineConfig(quantization=quantization, prefix_cache=False)  # type: ignore[arg-type]
    engine = Engine.load(folder, config)
    oracle = oracle_model(folder, torch.bfloat16)
    prompt = [(7 * position + 11) % engine.vocab_size for position in range(args.prompt)]

    ours, theirs = interleave(
        args.rounds,
        lambda: decode_rate(engine, prompt, args.tokens),
        lambda: generate_rate(oracle, prompt, args.tokens, engine.threads.max_threads),
    )
    prefill = {length: prefill_ms(engine, length) for length in PREFILL_LENGTHS}
    report(
        {
            "model": folder.name,
            "quantization": quantization,
            "threads": engine.threads.max_threads,
            "prompt_tokens": args.prompt,
            "new_tokens": args.tokens,
            "rounds": args.rounds,
            "ours_tokens_per_s": round(statistics.median(ours), 2),
            "transformers_tokens_per_s": round(statistics.median(theirs), 2),
            "ratio": round(statistics.median(ours) / statistics.median(theirs), 2),
            **{f"prefill_{length}_ms": round(ms, 1) for length, ms in prefill.items()},
        },
        is_json=args.json,
    )


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model_dir", help="a converted folder")
    parser.add_argument("--json", action="store_true", help="print the JSON line only")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=48, help="tokens decoded in each round")
    parser.add_argument("--prompt", type=int, default=64, help="length of the prompt in tokens")
    return parser.parse_args()


def interleave(
    rounds: int, ours: Callable[[], float], theirs: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Measure both in turn, after one unmeasured round."""
    pairs = [(ours(), theirs()) for _ in range(rounds + 1)][1:]
    return [mine for mine, _ in pairs], [other for _, other in pairs]


def decode_rate(engine: Engine, prompt: list[int], num_tokens: int) -> float:
    """Tokens per second after the first token."""
    usage = _run(engine, Request("bench", prompt, Sampling(max_tokens=num_tokens)))
    return (usage.completion_tokens - 1) / usage.decode_ms * 1e3


def prefill_ms(engine: Engine, length: int) -> float:
    """Time from admission to the first token; the median of three."""
    prompt = [(13 * position + 5) % engine.vocab_size for position in range(length)]
    runs = [_run(engine, Request("bench", prompt, Sampling(max_tokens=1))) for _ in range(3)]
    return statistics.median(usage.prefill_ms for usage in runs)


def generate_rate(model: Any, prompt: list[int], num_tokens: int, num_threads: int) -> float:
    """Tokens per second of transformers after its first token: a run of one token is taken off."""
    torch.set_num_threads(num_threads)  # the engine may have chosen fewer
    once, whole = (_generate_s(model, prompt, count) for count in (1, num_tokens))
    return (num_tokens - 1) / (whole - once)


def report(result: dict[str, Any], *, is_json: bool) -> None:
    out = sys.stdout.write
    if not is_json:
        for name, value in result.items():
            out(f"{name:28} {value}\n")
    out(json.dumps(result) + "\n")


def _run(engine: Engine, request: Request) -> Any:
    engine.submit(request)
    usage = None
    while engine.has_work:
        for delta in engine.step():
            usage = delta.usage
    return usage


def _generate_s(model: Any, prompt: list[int], count: int) -> float:
    ids = torch.tensor([prompt])
    start = time.perf_counter()
    with torch.inference_mode():
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=count,
            min_new_tokens=count,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
