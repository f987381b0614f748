"""The engine process: one model and the embedder behind a unix socket.

    python -m inference.serving.server --model-dir DIR --socket PATH [--models-dir DIR] [--embeddings-only]

Ready after a warm-up; on SIGTERM it is unready first, finishes what ends within a few seconds, fails the
rest with an error that says so, and exits. Only its own user may connect.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import uvicorn

from inference.serving.app import Service, build_app
from inference.serving.catalogue import EMBEDDING_MODEL, ModelError
from inference.serving.folders import ModelFolder
from inference.serving.memory import bound_allocators
from inference.serving.wire import ChatCall

if TYPE_CHECKING:
    from inference.engine.config import Quantization
    from inference.serving.loop import EngineLoop

log = logging.getLogger(__name__)
DRAIN_S = 3.0
GRACE_S = 1.0
WARM_UP_WORDS = 250


class StartError(Exception):
    """The process cannot start. The message has the value seen, the reason and the remedy."""


class Server(uvicorn.Server):
    """uvicorn, except that signals are handled by `stop_on_signal`, which drains first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(path: Path) -> socket.socket:
    """A listening unix socket for this user alone. A stale file is replaced, a live server is not."""
    if len(str(path).encode()) > 100:
        raise StartError(f"{path} is too long for a unix socket (100 bytes): choose a shorter DATA_DIR.")
    path.parent.mkdir(parents=True, exist_ok=True)
    probe = socket.socket(socket.AF_UNIX)
    with probe, contextlib.suppress(ConnectionRefusedError, FileNotFoundError):
        probe.connect(str(path))
        raise StartError(f"another engine serves {path}: stop it first.")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)
    return listener


def load_chat(options: argparse.Namespace) -> EngineLoop:
    """Map the model and start its thread. Raises StartError."""
    from inference.engine import Engine, EngineConfig, EngineFault
    from inference.serving.loop import EngineLoop
    from inference.serving.text import ChatText

    folder = ModelFolder.read(options.model_dir)
    try:
        config = EngineConfig(
            max_streams=options.max_streams,
            max_context=min(options.max_context, folder.context_length),
            kv_tokens=options.kv_tokens,
            num_threads=options.threads,
            device=options.device,
            quantization=cast("Quantization", folder.quantization),
        )
        engine = Engine.load(folder.path, config)
    except EngineFault as error:
        raise StartError(f"{folder.path} cannot be served: {error}") from error
    text = ChatText(folder.path)
    return EngineLoop(
        engine, text, name=folder.name, quantization=folder.quantization, max_waiting=options.max_waiting
    )


async def warm_up(service: Service) -> None:
    """One short answer and one vector: the first person must not pay for first allocations."""
    if service.chat is not None:
        text = "warm " * min(WARM_UP_WORDS, service.chat.card.context_length // 16)
        call = ChatCall(messages=({"role": "user", "content": text},), max_tokens=4)
        async with contextlib.aclosing(await service.chat.open(call)) as pieces:
            async for _ in pieces:
                pass
    if service.embeddings is not None:
        await service.embeddings.embed(["warm up"])


def stop_on_signal(server: Server, service: Service, chat: EngineLoop | None) -> None:
    """Unready at once; open answers get DRAIN_S seconds, then an error; then the process ends."""

    def stop() -> None:
        service.is_ready = False
        server.should_exit = True
        if chat is not None:
            asyncio.get_running_loop().call_later(DRAIN_S, chat.fail_open)

    def give_up() -> None:
        log.critical("steps keep failing: the process ends, so that a new one can take over")
        service.is_ready = False
        server.should_exit = True
        assert chat is not None
        chat.fail_open()

    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop)
    if chat is not None:
        chat.on_broken = give_up


async def serve(options: argparse.Namespace) -> int:
    """Run until told to stop. Returns the exit status."""
    from inference.serving.embedder import Embedder

    listener = bind(options.socket)
    chat = None if options.embeddings_only else load_chat(options)
    if chat is not None:
        chat.start()
    folder = options.embeddings_dir or options.models_dir / EMBEDDING_MODEL
    embedder = Embedder(folder, num_threads=options.threads)
    service = Service(chat, embedder)
    config = uvicorn.Config(
        build_app(service),
        log_level="warning",
        lifespan="off",
        timeout_graceful_shutdown=int(DRAIN_S + GRACE_S),
    )
    server = Server(config)
    stop_on_signal(server, service, chat)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await warm_up(service)
    service.is_ready = not server.should_exit
    log.warning("ready on %s: %s", options.socket, ", ".join(card.name for card in service.cards))
    await serving
    options.socket.unlink(missing_ok=True)
    if chat is not None:
        chat.close()
    return 1 if chat is not None and chat.is_broken else 0


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="server", description="Serve a prepared model on a unix socket.")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--model-dir", type=Path, help="a folder made by inference.serving.prepare")
    parser.add_argument("--models-dir", type=Path, help="holds the embedder (default: beside --model-dir)")
    parser.add_argument("--embeddings-dir", type=Path, help="the embedder's folder, if it is elsewhere")
    parser.add_argument("--embeddings-only", action="store_true", help="serve no chat model")
    parser.add_argument("--threads", type=int, default=0, help="cores to use (0: all)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--max-streams", type=int, default=16, help="answers generated at the same time")
    parser.add_argument("--max-waiting", type=int, default=64, help="requests that may wait, then 429")
    parser.add_argument("--max-context", type=int, default=8192, help="tokens of prompt and answer")
    parser.add_argument("--kv-tokens", type=int, default=32_768, help="tokens that the KV cache holds")
    options = parser.parse_args(argv)
    if options.model_dir is None and not options.embeddings_only:
        parser.error("--model-dir is missing: name a prepared folder, or pass --embeddings-only.")
    options.models_dir = options.models_dir or (options.model_dir or Path("var/models/none")).parent
    return options


def main(argv: list[str] | None = None) -> int:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    options = parse_arguments(argv)
    bound_allocators()
    try:
        return asyncio.run(serve(options))
    except (StartError, ModelError) as error:
        log.error("%s", error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
