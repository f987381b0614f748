"""A real process that speaks the engine's protocol and says what a test tells it to, at a fixed rate.

For every claim that is about the web and not about the model. It serves the same application as the
real engine (`inference.serving.app`), so refusals, queue places and errors have one shape.

What it says is decided by markers in the last user message, then by the rules file, then by default
("word1 word2 …"):
    [[say:TEXT]]  the answer            [[tokens:50]]  that many default words (default 20)
    [[rate:50]]   tokens per second     [[die:10]]     the process dies (as kill -9) after 10 tokens
    [[break:10]]  an error after 10     [[refuse:CODE]]  refused before the stream with that code
    [[hang:10]]   silence after 10
Rules: `engine.rules = [{"match": "regular expression", "say": "text", "rate": 50, …}]`; the first whose
expression is found in the last user message counts.

    with ScriptedEngine(rate=100) as engine:
        EngineClient(engine.address) ...; engine.stats(); engine.calls(); engine.kill(); engine.start()
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
MARKER = re.compile(r"\[\[(\w+)(?::(.*?))?\]\]", re.DOTALL)
DIMENSIONS = 384


class ScriptedEngine:
    """Starts and stops the process. `address` is what EngineClient takes, `socket_path` the bare path.

    http=True listens on a TCP port instead, as a foreign upstream would.
    """

    def __init__(
        self,
        socket_path: str | Path | None = None,
        *,
        rate: float = 200,
        max_streams: int = 16,
        max_waiting: int = 32,
        context_length: int = 8192,
        http: bool = False,
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="scripted-"))
        self.socket_path = Path(socket_path) if socket_path else self._folder / "engine.sock"
        self._rules_path = self._folder / "rules.json"
        self.rules = []
        port = free_port() if http else None
        self.address = f"http://127.0.0.1:{port}/v1" if port else f"unix:{self.socket_path}"
        where = ["--port", str(port)] if port else ["--socket", str(self.socket_path)]
        self._command = [sys.executable, "-m", "tests.support.scripted_engine", *where]
        self._command += ["--rules", str(self._rules_path), "--rate", str(rate)]
        self._command += ["--max-streams", str(max_streams), "--max-waiting", str(max_waiting)]
        self._command += ["--context-length", str(context_length)]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def rules(self) -> list[dict[str, Any]]:
        return json.loads(self._rules_path.read_text())

    @rules.setter
    def rules(self, rules: list[dict[str, Any]]) -> None:
        new = self._rules_path.with_suffix(".new")
        new.write_text(json.dumps(rules))
        new.replace(self._rules_path)

    def start(self) -> ScriptedEngine:
        self.process = subprocess.Popen(self._command, cwd=ROOT)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.get("/health/ready")
                return self
            except httpx.HTTPError:
                time.sleep(0.05)
        raise RuntimeError(f"the scripted engine did not start (exit status {self.process.poll()})")

    def get(self, path: str) -> Any:
        uds = None if self.address.startswith("http") else str(self.socket_path)
        root = self.address.removesuffix("/v1") if uds is None else "http://engine"
        with httpx.Client(transport=httpx.HTTPTransport(uds=uds), timeout=5) as client:
            return client.get(root + path).raise_for_status().json()

    def stats(self) -> dict[str, int]:
        """requests, running, finished, cancelled, tokens, embedded_texts (since the process started)."""
        return self.get("/script/stats")

    def calls(self) -> list[dict[str, Any]]:
        """The last 100 chat calls as the engine understood them, oldest first."""
        return self.get("/script/calls")

    def kill(self) -> None:
        """kill -9, as a crash."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, signum: signal.Signals) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signum)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def __enter__(self) -> ScriptedEngine:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ---- inside the process ------------------------------------------------------------------------

from inference.serving.admission import Admission, Ticket  # noqa: E402
from inference.serving.app import ModelCard  # noqa: E402
from inference.serving.pieces import Finished, Piece, Queued, Token, Usage  # noqa: E402
from inference.serving.wire import ChatCall, Refused  # noqa: E402


def count_tokens(text: str) -> int:
    return len(text) // 4 + 1


def split_tokens(text: str) -> list[str]:
    """Words with the space before them; of Chinese, one character each."""
    return re.findall(r"\s*[一-鿿]|\s*[^\s一-鿿]+|\s+$", text)


class ScriptedChat:
    def __init__(self, options: argparse.Namespace) -> None:
        self.card = ModelCard("scripted", options.context_length, "none")
        self.admission = Admission(max_running=options.max_streams, max_waiting=options.max_waiting)
        self.rate, self.rules_path = options.rate, Path(options.rules) if options.rules else None
        self.counts: Counter[str] = Counter()
        self.calls: deque[dict[str, Any]] = deque(maxlen=100)

    def script_for(self, call: ChatCall) -> dict[str, Any]:
        question = next((m["content"] for m in reversed(call.messages) if m["role"] == "user"), "")
        markers: dict[str, Any] = dict(MARKER.findall(question))
        rules = json.loads(self.rules_path.read_text()) if self.rules_path else []
        rule = next((rule for rule in rules if re.search(rule["match"], question)), {})
        return {"rate": self.rate, "tokens": 20} | rule | markers

    async def open(self, call: ChatCall) -> AsyncGenerator[Piece, None]:
        self.counts["requests"] += 1
        self.calls.append(vars(call) | {"messages": list(call.messages), "stop": list(call.stop)})
        script = self.script_for(call)
        if "refuse" in script:
            raise Refused(f"the script refuses: {script['refuse']}.", code=script["refuse"])
        num_prompt = sum(count_tokens(message["content"]) for message in call.messages)
        if num_prompt >= self.card.context_length:
            message = f"the prompt has {num_prompt} tokens, the context length is {self.card.context_length}."
            raise Refused(message, code="context_length_exceeded")
        stream = self.stream(self.admission.enter(), script, call, num_prompt)
        await anext(stream)
        return stream

    async def stream(
        self, ticket: Ticket, script: dict[str, Any], call: ChatCall, num_prompt: int
    ) -> AsyncGenerator[Piece, None]:
        outcome = "cancelled"
        entered = time.perf_counter()
        try:
            yield Queued(0, 0.0)  # taken by `open`, so that closing releases the ticket, read or not
            async for queued in ticket.wait():
                yield queued
            words = script.get("say") or " ".join(f"word{i + 1}" for i in range(int(script["tokens"])))
            tokens = split_tokens(words)
            kept = tokens[: call.max_tokens]
            started = time.perf_counter()
            for index, token in enumerate(kept):
                await self.misbehave(script, index)
                await asyncio.sleep(
                    max(0.0, started + (index + 1) / float(script["rate"]) - time.perf_counter())
                )
                self.counts["tokens"] += 1
                yield Token(token)
            outcome = "finished"
            timing = {
                "ttft_ms": round((started - entered) * 1000 + 1000 / float(script["rate"]), 1),
                "decode_tokens_per_s": float(script["rate"]),
                "model": self.card.name,
                "quantization": self.card.quantization,
            }
            reason = "length" if len(kept) < len(tokens) else "stop"
            yield Finished(reason, Usage(num_prompt, 0, len(kept)), timing)
        finally:
            self.counts[outcome] += 1
            ticket.release()

    async def misbehave(self, script: dict[str, Any], index: int) -> None:
        if index == int(script.get("die", -1)):
            os._exit(137)
        if index == int(script.get("break", -1)):
            raise Refused("the script breaks off.", status=500, code="engine_failed")
        if index == int(script.get("hang", -1)):
            await asyncio.sleep(3600)

    def gauges(self) -> dict[str, float]:
        return {"running": self.admission.num_running, "waiting": self.admission.num_waiting}


def embed_by_words(text: str) -> bytes:
    """A vector that is near where words are shared: each word (Chinese: pair of characters) is hashed to
    four signed places; normalised, little-endian float32."""
    lowered = text.lower()
    chinese = "".join(re.findall(r"[一-鿿]", lowered))
    words = re.findall(r"[a-z0-9]+", lowered) + [chinese[i : i + 2] for i in range(len(chinese))]
    vector = [0.0] * DIMENSIONS
    for word in words:
        digest = hashlib.blake2b(word.encode(), digest_size=16).digest()
        for place, sign in zip(struct.unpack("<4I", digest), digest[:4], strict=True):
            vector[place % DIMENSIONS] += 1.0 if sign & 1 else -1.0
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return struct.pack(f"<{DIMENSIONS}f", *(value / length for value in vector))


class ScriptedEmbedder:
    def __init__(self, counts: Counter[str]) -> None:
        self.card = ModelCard("scripted-embeddings", 512, dimensions=DIMENSIONS)
        self.counts = counts

    async def embed(self, texts: Sequence[str]) -> tuple[list[bytes], int]:
        self.counts["embedded_texts"] += len(texts)
        return [embed_by_words(text) for text in texts], sum(count_tokens(text) for text in texts)


def main() -> None:
    import uvicorn
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    from inference.serving.app import Service, build_app

    parser = argparse.ArgumentParser()
    parser.add_argument("--socket")
    parser.add_argument("--port", type=int)
    parser.add_argument("--rules")
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--max-streams", type=int, default=16)
    parser.add_argument("--max-waiting", type=int, default=32)
    parser.add_argument("--context-length", type=int, default=8192)
    options = parser.parse_args()
    chat = ScriptedChat(options)
    service = Service(chat, ScriptedEmbedder(chat.counts))
    service.is_ready = True
    names = ("requests", "finished", "cancelled", "tokens", "embedded_texts")

    async def stats(request: Request) -> JSONResponse:
        return JSONResponse({name: chat.counts[name] for name in names} | chat.gauges())

    async def calls(request: Request) -> JSONResponse:
        return JSONResponse(list(chat.calls))

    app = build_app(service, [Route("/script/stats", stats), Route("/script/calls", calls)])
    where: dict[str, Any] = {"uds": options.socket} if options.socket else {"port": options.port}
    uvicorn.run(app, log_level="warning", timeout_graceful_shutdown=1, **where)


if __name__ == "__main__":
    main()
