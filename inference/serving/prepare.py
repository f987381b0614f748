"""Makes a model ready: fetch, verify, convert once, keep the tokenizer; the second call is instant.

    python -m inference.serving.prepare [NAME|FOLDER|FILE.gguf|org/name] [--models-dir var/models]

Works in a folder beside the target and renames it when all is done, so a broken run leaves nothing that
looks ready. Two processes do not prepare at the same time.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import cast, get_args

from inference.serving.catalogue import DEFAULT_MODEL, EMBEDDING_MODEL, Model, ModelError, catalogue, find
from inference.serving.download import Progress, brief, fetch_hub_folder, fetch_model, require_space
from inference.serving.folders import ModelFolder, check_source, is_hub_id, is_prepared, name_of

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")

COUNTED_STAGES = {"convert", "tokenizer"}
# What "auto" means: the packed kernel of the CPU, on which the engine runs unless told otherwise.
AUTO = "int4"


def prepare_model(
    name_or_path: str,
    models_dir: Path,
    progress: Progress | None = None,
    *,
    quantization: str = "int4",
) -> ModelFolder:
    """A ready folder for a catalogue name, a folder of safetensors, a GGUF file or a hub id.

    progress(stage, done, total), in bytes, or in parts of the model for the stages convert and tokenizer.
    Raises ModelError with the value seen, the reason and the remedy.
    """
    report = progress or (lambda stage, done, total: None)
    quantization = AUTO if quantization == "auto" else quantization
    path = Path(name_or_path).expanduser()
    if is_prepared(path):
        return ModelFolder.read(path)
    if name_or_path in catalogue():
        return prepare_known(find(name_or_path), models_dir, report, quantization=quantization)
    if path.exists():
        name = name_of(path)
        return convert_once(name, models_dir, report, lambda: path, quantization=quantization)
    if is_hub_id(name_or_path):
        name = name_or_path.replace("/", "--")
        fetch = partial(fetch_hub_folder, name_or_path, models_dir, report)
        return convert_once(name, models_dir, report, fetch, quantization=quantization)
    find(name_or_path)
    raise AssertionError("find() refuses what is not in the catalogue")


def prepare_known(model: Model, models_dir: Path, progress: Progress, *, quantization: str) -> ModelFolder:
    if model.kind == "embeddings":
        return prepare_embedder(model, models_dir, progress)

    def fetch() -> Path:
        return fetch_model(model, models_dir, progress)[0]

    return convert_once(model.name, models_dir, progress, fetch, quantization=quantization, model=model)


def prepare_embedder(model: Model, models_dir: Path, progress: Progress) -> ModelFolder:
    """The embedder is served from its files as they are."""
    target = models_dir / model.name
    with building(target) as folder:
        if folder is not None:
            for path in fetch_model(model, models_dir, progress):
                path.replace(folder / path.name)
            ModelFolder(folder, model.name, model.kind, "f32", model.context_length, model.licence).write()
    return ModelFolder.read(target)


def convert_once(
    name: str,
    models_dir: Path,
    progress: Progress,
    fetch: Callable[[], Path],
    *,
    quantization: str,
    model: Model | None = None,
) -> ModelFolder:
    """Convert what `fetch` brings into `<models_dir>/<name>-<quantization>`, unless it is there."""
    target = models_dir / f"{name}-{quantization}"
    with building(target) as folder:
        if folder is not None:
            source = fetch()
            check_source(source)
            require_space(models_dir, 3 * size_of(source), "to convert the model")
            convert(source, folder, quantization=quantization, progress=progress)
            write_tokenizer(source, folder, progress)
            length = model.context_length if model else read_context_length(folder)
            licence = model.licence if model else "unknown"
            ModelFolder(folder, name, "chat", quantization, length, licence).write()
    return ModelFolder.read(target)


@contextlib.contextmanager
def building(target: Path) -> Iterator[Path | None]:
    """A folder to fill, which gets the target's name when the block ends well; None if it stands already."""
    if is_prepared(target):
        yield None
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_prepared(target):
            yield None
            return
        new = target.with_name(f"{target.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        try:
            yield new
            shutil.rmtree(target, ignore_errors=True)
            new.replace(target)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def convert(source: Path, folder: Path, *, quantization: str, progress: Progress) -> None:
    from inference.engine import EngineFault
    from inference.engine.config import Quantization
    from inference.engine.convert import convert_weights

    if quantization not in get_args(Quantization):
        raise ModelError(f"QUANTIZATION={quantization!r}: choose one of {', '.join(get_args(Quantization))}.")
    try:
        kind = cast(Quantization, quantization)
        convert_weights(source, folder, quantization=kind, progress=partial(progress, "convert"))
    except EngineFault as error:
        raise ModelError(f"{source.name} cannot be converted: {error}") from error


def write_tokenizer(source: Path, folder: Path, progress: Progress) -> None:
    """tokenizer.json and the chat template, out of the source folder or the GGUF file's metadata."""
    progress("tokenizer", 0, 1)
    if source.is_dir():
        for name in TOKENIZER_FILES:
            if (source / name).is_file():
                shutil.copyfile(source / name, folder / name)
    else:
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
        except (ValueError, KeyError, NotImplementedError) as error:
            raise ModelError(f"{source} has a tokenizer that cannot be read ({brief(error)}).") from error
        tokenizer.save_pretrained(folder)
    progress("tokenizer", 1, 1)


def read_context_length(folder: Path) -> int:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return int(config.get("max_position_embeddings") or 2048)


def size_of(source: Path) -> int:
    files = source.rglob("*") if source.is_dir() else [source]
    return sum(file.stat().st_size for file in files if file.is_file())


# ---- command line ------------------------------------------------------------------------------


@contextlib.contextmanager
def progress_bar() -> Iterator[Progress]:
    """One line per stage on stderr: bytes, speed and the time that is left."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description:>10}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    sizes = TextColumn("{task.fields[sizes]}")
    with Bar(*columns, sizes, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        tasks: dict[str, int] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=None, sizes="")
            has_sizes = stage not in COUNTED_STAGES and total > 0
            sizes = f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if has_sizes else ""
            bar.update(tasks[stage], completed=done, total=total or None, sizes=sizes)  # type: ignore[arg-type]

        yield report


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="prepare", description="Fetch and convert a model, once.")
    parser.add_argument("model", nargs="?", default=DEFAULT_MODEL, help="name, folder, GGUF file or hub id")
    parser.add_argument("--models-dir", type=Path, default=Path("var/models"))
    parser.add_argument("--quantization", default="int4", help="int4, bf16, nf4 or int8")
    parser.add_argument("--embedder-only", action="store_true", help="fetch the embedding model alone")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON on stdout")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    options = parse_arguments(argv)
    result: dict[str, str] = {}
    try:
        with progress_bar() as progress:
            embedder = prepare_model(EMBEDDING_MODEL, options.models_dir, progress)
            result["embedder"] = str(embedder.path)
            if not options.embedder_only:
                folder = prepare_model(
                    options.model, options.models_dir, progress, quantization=options.quantization
                )
                result["path"] = str(folder.path)
    except ModelError as error:
        result = {"error": str(error)}
    except KeyboardInterrupt:
        result = {"error": "stopped; start again to go on where it stopped."}
    sys.stderr.write("" if options.json else "\n".join(result.values()) + "\n")
    sys.stdout.write(json.dumps(result) + "\n" if options.json else "")
    return 1 if "error" in result else 0


if __name__ == "__main__":
    sys.exit(main())
