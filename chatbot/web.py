"""The web process: Daphne with bounds, and an end that loses nothing.

    python -m chatbot.web --host 127.0.0.1 --port 8000

Bounds: the size of a websocket message and of the pieces it may come in. On SIGTERM: not ready first,
then every socket is closed with a code that invites it back, running answers are saved and given up for
another process to go on with, and only then does the process end.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from typing import Any

from daphne.server import Server  # installs Twisted's asyncio reactor: before anything else of Twisted
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol

from chatbot import health
from chatbot.asgi import application

MAX_MESSAGE_BYTES = 64 * 1024
MAX_FRAGMENTS = 64
CLOSE_S = 3
# A proxy needs a moment to see that this process is not ready any more.
NOT_READY_S = 0.2
GRACE_S = 5.0


class BoundedProtocol(WebSocketProtocol):
    """A message in endless empty fragments stays below every size and fills the memory all the same."""

    num_fragments = 0

    def onConnect(self, request: Any) -> Any:
        # A reader that was sent away for being slow gets the time to read why.
        self.closeHandshakeTimeout = CLOSE_S
        return super().onConnect(request)

    def serverClose(self, code: int | None = None) -> None:
        """Autobahn lets applications close with 1000 and their own codes only; "restart" is neither."""
        if code is not None and 1000 < code < 3000:
            self.sendCloseFrame(code=code, isReply=False)
        else:
            super().serverClose(code)

    def onMessageBegin(self, isBinary: bool) -> None:
        self.num_fragments = 0
        super().onMessageBegin(isBinary)

    def onMessageFrameBegin(self, length: int) -> None:
        self.num_fragments += 1
        if self.num_fragments > MAX_FRAGMENTS:
            self.failConnection(self.CLOSE_STATUS_CODE_POLICY_VIOLATION, "too many fragments")
            return
        super().onMessageFrameBegin(length)


def build_server(host: str, port: int) -> Server:
    WebSocketFactory.protocol = BoundedProtocol
    interface = host.replace(":", r"\:")
    return Server(
        application=application,
        endpoints=[f"tcp:port={port}:interface={interface}"],
        signal_handlers=False,
        http_timeout=None,
        ping_interval=20,
        ping_timeout=20,
        websocket_max_message_size=MAX_MESSAGE_BYTES,
        websocket_max_frame_size=MAX_MESSAGE_BYTES,
        application_close_timeout=10,
        server_name="parley",
    )


async def drain() -> None:
    """Send everybody away so that they come back, and leave the running answers to be taken over."""
    from assistant.conversations import consumer, runner

    await asyncio.sleep(NOT_READY_S)
    await consumer.close_all()
    await runner.get_runner().close()


def stop_gently(server: Server) -> None:
    async def end() -> None:
        try:
            async with asyncio.timeout(GRACE_S):
                await drain()
        except TimeoutError:
            pass
        finally:
            server.stop()

    if not health.is_draining:
        health.is_draining = True
        tasks.add(asyncio.get_running_loop().create_task(end()))


tasks: set[asyncio.Task[Any]] = set()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m chatbot.web")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    server = build_server(options.host, options.port)
    from twisted.internet import reactor

    loop = reactor._asyncioEventloop
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop_gently, server)
    server.run()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatbot.settings")
    main()
