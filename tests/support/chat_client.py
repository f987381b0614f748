"""A client that keeps docs/protocol.md: cursors, gaps, merged deltas, snapshots, acknowledgements.

`Transcript` is what a client knows, without a socket; `Chat` drives one over ASGI inside the process,
`RemoteChat` one over the network.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import websockets
from channels.testing import WebsocketCommunicator

Frame = dict[str, Any]
ENDED = {"done", "stopped", "interrupted", "failed"}


class Gap(AssertionError):
    """An event was missed."""


class Closed(Exception):
    """The server closed the socket; `args[0]` is its code."""


class Transcript:
    def __init__(self) -> None:
        self.conversation: str | None = None
        self.messages: dict[str, Frame] = {}
        self.cursor: dict[str, int] | None = None
        self.turn: Frame = {}
        self.frames: list[Frame] = []
        self.num_old = 0
        self.resets = 0

    @property
    def is_answered(self) -> bool:
        return self.turn.get("state") in ENDED

    def texts(self) -> list[tuple[str, str]]:
        return [(message["role"], message["text"]) for message in self.messages.values()]

    def answer(self) -> Frame:
        return self.messages[self.turn["answer"]]

    def take(self, frame: Frame) -> None:
        self.frames.append(frame)
        if frame["type"] == "welcome":
            self.conversation = frame["conversation"]
        elif frame["type"] == "snapshot":
            self.messages = {message["id"]: message for message in frame["messages"]}
            self.cursor = frame["cursor"]
            self.turn = frame["turn"] or {"state": "done"}
            last = [m for m in frame["messages"] if m["role"] == "assistant"]
            if last:
                self.turn = {**self.turn, "answer": self.turn.get("answer", last[-1]["id"])}
        elif "seq" in frame:
            self._event(frame)

    def _event(self, frame: Frame) -> None:
        seen = self.cursor or {"epoch": 0, "seq": 0}
        if (frame["epoch"], frame["seq"]) <= (seen["epoch"], seen["seq"]):
            self.num_old += 1
            raise Gap(f"twice: {frame} after {seen}")
        expected = seen["seq"] + 1 if frame["epoch"] == seen["epoch"] else 1
        if frame.get("first_seq", frame["seq"]) != expected:
            raise Gap(f"missed something between {seen} and {frame}")
        self.cursor = {"epoch": frame["epoch"], "seq": frame["seq"]}
        kind = frame["type"]
        if kind in ("message", "finished"):
            self.messages[frame["message"]["id"]] = dict(frame["message"])
        elif kind == "delta":
            self.messages[frame["message"]]["text"] += frame["text"]
        elif kind == "reset":
            self.messages[frame["message"]].update(text="", citations=[])
            self.resets += 1
        elif kind == "retract":
            self.messages[frame["message"]].update(text=frame["text"], state="retracted")
        elif kind == "turn":
            self.turn = frame


class Chat:
    """One socket of one visitor. A new Chat with the same transcript is the same client coming back."""

    def __init__(
        self,
        token: str | None,
        *,
        site: str | None = "shop",
        transcript: Transcript | None = None,
        headers: list[tuple[bytes, bytes]] | None = None,
        acks: bool = True,
    ) -> None:
        from chatbot.asgi import application

        own = [(b"host", b"localhost"), (b"origin", b"http://localhost")]
        headers = own if headers is None else headers
        self.socket = WebsocketCommunicator(application, "/ws/chat/", headers=headers)
        self.token, self.site, self.acks = token, site, acks
        self.transcript = transcript or Transcript()

    async def open(self, **hello: Any) -> Chat:
        """Connect and say hello; reads up to the welcome."""
        await self.connect()
        known = {"conversation": self.transcript.conversation, "cursor": self.transcript.cursor}
        said = {"type": "hello", "site": self.site, "token": self.token, "locale": "en"}
        await self.send({**said, **known, **hello})
        while (await self.receive())["type"] != "welcome":
            pass
        return self

    async def connect(self) -> None:
        is_accepted, _ = await self.socket.connect(timeout=5)
        assert is_accepted

    async def send(self, frame: Frame | str) -> None:
        await self.socket.send_to(text_data=frame if isinstance(frame, str) else json.dumps(frame))

    async def receive_text(self, timeout: float) -> str | int:
        """A text message, or the code the server closed with."""
        output = await self.socket.receive_output(timeout)
        return output["text"] if output["type"] == "websocket.send" else output.get("code", 1000)

    async def receive(self, timeout: float = 10) -> Frame:
        text = await self.receive_text(timeout)
        if isinstance(text, int):
            raise Closed(text)
        frame = json.loads(text)
        self.transcript.take(frame)
        if self.acks and "seq" in frame:
            await self.send({"type": "ack", "epoch": frame["epoch"], "seq": frame["seq"]})
        if self.acks and frame["type"] == "snapshot":
            await self.send({"type": "ack", **frame["cursor"]})
        return frame

    async def ask(self, text: str, **more: Any) -> str:
        client_id = str(uuid.uuid4())
        await self.send({"type": "ask", "client_id": client_id, "text": text, **more})
        return client_id

    async def until(self, wanted: str, timeout: float = 15, **fields: Any) -> Frame:
        """Read frames until one of this type with these fields."""
        async with asyncio.timeout(timeout):
            while True:
                frame = await self.receive(timeout)
                if frame["type"] == wanted and all(frame.get(k) == v for k, v in fields.items()):
                    return frame

    async def until_answered(self, timeout: float = 15) -> Frame:
        """Read until the turn has ended; the answer as the client has it."""
        async with asyncio.timeout(timeout):
            while True:
                frame = await self.receive(timeout)
                ends = frame["type"] == "turn" and frame["state"] in ENDED
                if ends or (frame["type"] == "snapshot" and frame["turn"] is None and frame["messages"]):
                    return self.transcript.answer()

    async def until_closed(self, timeout: float = 15) -> int:
        """Read until the server closes; the close code."""
        async with asyncio.timeout(timeout):
            while True:
                text = await self.receive_text(timeout)
                if isinstance(text, int):
                    return text
                self.transcript.take(json.loads(text))

    async def close(self) -> None:
        await self.socket.disconnect()


class RemoteChat(Chat):
    """The same client over the network, as a page of the server's own origin."""

    def __init__(
        self,
        token: str | None,
        url: str,
        *,
        site: str | None = "shop",
        transcript: Transcript | None = None,
        acks: bool = True,
    ) -> None:
        self.url = url
        self.token, self.site, self.acks = token, site, acks
        self.transcript = transcript or Transcript()

    async def connect(self) -> None:
        origin = self.url.replace("ws://", "http://").split("/ws/")[0]
        self.remote = await websockets.connect(
            self.url, origin=websockets.Origin(origin), max_size=None, proxy=None, ping_interval=None
        )

    async def send(self, frame: Frame | str) -> None:
        await self.remote.send(frame if isinstance(frame, str) else json.dumps(frame))

    async def receive_text(self, timeout: float) -> str | int:
        try:
            async with asyncio.timeout(timeout):
                return str(await self.remote.recv())
        except websockets.ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006

    async def close(self) -> None:
        await self.remote.close()
