"""The socket: who is there, which conversation, what they ask; and the events that go back.

Thin: frames are parsed by `frames`, done by `commands`, read by `following`. Handlers return at once,
because Channels runs them inline: commands are done one after another by one task, events are sent by
another, and both end with the socket. The generation does not.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Coroutine
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError

from assistant.accounts import principals, revocation
from assistant.accounts.origins import is_own_origin
from assistant.accounts.principals import Principal
from assistant.conversations import commands, events, frames, limits
from assistant.conversations.commands import Session
from assistant.conversations.database import in_database
from assistant.conversations.errors import Refused, TooLarge
from assistant.conversations.events import Cursor
from assistant.conversations.following import Follower
from assistant.conversations.frames import Ack, BadFrame, Command, Hello, Ping, Stop
from assistant.conversations.revalidation import Watched, get_revalidation
from assistant.conversations.runner import get_runner
from assistant.conversations.wakeups import Wakeups
from assistant.conversations.window import Window

log = logging.getLogger(__name__)

BAD_PROTOCOL, UNAUTHENTICATED, FORBIDDEN, HELLO_TIMEOUT = 4400, 4401, 4403, 4408
SLOW_READER, TOO_LARGE, TOO_MANY, RESTART = 4409, 4413, 4429, 1012
HELLO_S = 10.0
MAX_BAD_FRAMES = 5
MAX_WAITING_COMMANDS = 32

open_sockets: set[ChatConsumer] = set()


class ChatConsumer(AsyncWebsocketConsumer):
    """One client, one conversation at a time."""

    # Channels would refuse the socket while its layer is down; `Wakeups` subscribes when it can.
    channel_layer_alias = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.session: Session | None = None
        self.early_principal: Principal | None = None
        self.follower: Follower | None = None
        self.window = Window()
        self.wakeups: Wakeups | None = None
        self.watched: Watched | None = None
        self.commands: asyncio.Queue[Command] = asyncio.Queue(MAX_WAITING_COMMANDS)
        self.frames_left = limits.Bucket(limits.FRAMES_PER_S, limits.FRAMES_BURST)
        self.acks_left = limits.Bucket(limits.ACKS_PER_S, limits.ACKS_BURST)
        self.num_bad_frames = 0
        self.is_closing = False
        self.tasks: set[asyncio.Task[None]] = set()
        self.reading: asyncio.Task[None] | None = None

    # ---- coming and going ----------------------------------------------------------------------

    async def connect(self) -> None:
        """Refuse before accepting: a foreign page, and a program without a credential."""
        headers = {name.lower(): value.decode("latin-1") for name, value in self.scope["headers"]}
        origin = headers.get(b"origin")
        if origin is None:
            self.early_principal = await self._by_header(headers.get(b"authorization", ""))
            is_allowed = self.early_principal is not None
        else:
            is_allowed = is_own_origin(origin, headers.get(b"host", ""))
        if not is_allowed:
            await self.close(FORBIDDEN)
            return
        await self.accept()
        open_sockets.add(self)
        get_runner()
        self._own(self._expect_hello())

    async def _by_header(self, authorization: str) -> Principal | None:
        scheme, _space, token = authorization.partition(" ")
        if scheme.lower() != "visitor" or not token:
            return None
        try:
            return await in_database(principals.from_scope, self.scope, token.strip(), None)
        except PermissionDenied:
            return None

    async def _expect_hello(self) -> None:
        await asyncio.sleep(HELLO_S)
        if self.session is None:
            await self.end(HELLO_TIMEOUT)

    async def disconnect(self, code: int) -> None:
        self.is_closing = True
        open_sockets.discard(self)
        for task in self.tasks:
            task.cancel()
        if self.watched is not None:
            get_revalidation().remove(self.watched)
        if self.session is not None:
            limits.close_socket(self.session.principal.key)
        if self.wakeups is not None:
            await self.wakeups.close()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def end(self, code: int) -> None:
        """Close, and send nothing more."""
        if not self.is_closing:
            self.is_closing = True
            await self.close(code)

    # ---- frames in -----------------------------------------------------------------------------

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.is_closing:
            return
        if text_data is None:
            await self.end(BAD_PROTOCOL)
            return
        try:
            frame = frames.parse(text_data)
        except TooLarge:
            await self.end(TOO_LARGE)
            return
        except BadFrame as error:
            await self._complain(error)
            return
        if not (self.acks_left if isinstance(frame, Ack) else self.frames_left).take():
            await self.end(TOO_MANY)
            return
        await self._handle(frame)

    async def _complain(self, error: BadFrame) -> None:
        self.num_bad_frames += 1
        if self.session is None or self.num_bad_frames > MAX_BAD_FRAMES or not self.frames_left.take():
            await self.end(BAD_PROTOCOL)
            return
        await self.send_frame(commands.error_frame(error))

    async def _handle(self, frame: frames.ClientFrame) -> None:
        if isinstance(frame, Hello):
            await self._hello(frame)
        elif isinstance(frame, Ping):
            await self.send_frame({"type": "pong"})
        elif self.session is None:
            await self.end(BAD_PROTOCOL)
        elif isinstance(frame, Ack):
            self.window.acknowledge(Cursor(frame.epoch, frame.seq))
        elif isinstance(frame, Stop):
            self._own(self._do(frame))  # never behind a command that waits
        elif self.commands.full():
            await self.end(TOO_MANY)
        else:
            self.commands.put_nowait(frame)

    async def _hello(self, hello: Hello) -> None:
        if self.session is not None:
            await self.end(BAD_PROTOCOL)
            return
        try:
            session = await in_database(commands.greet, hello, self.scope, self.early_principal)
        except PermissionDenied:
            await self.end(UNAUTHENTICATED)
            return
        except Refused as error:
            await self.send_frame(commands.error_frame(error))
            await self.end(FORBIDDEN)
            return
        if not limits.open_socket(session.principal.key):
            await self.end(TOO_MANY)
            return
        self.session = session
        self._watch(session)
        if session.conversation is None:
            await self.send_frame(commands.welcome(session, "up_to_date", Cursor()))
        else:
            cursor = Cursor(hello.cursor.epoch, hello.cursor.seq) if hello.cursor else None
            await self._follow(cursor)
        self._own(self._do_commands())

    def _watch(self, session: Session) -> None:
        """Be told, and ask, when this person no longer holds."""
        groups = revocation.group_names(session.principal, session.session_key)
        self.wakeups = Wakeups(groups, self._hear)
        self.watched = Watched(session.principal, session.session_key, self._on_revoked)
        get_revalidation().add(self.watched)

    def _hear(self, message: dict[str, Any]) -> None:
        if message.get("type") == "revoked":
            self._on_revoked()
        elif self.follower is not None:
            self.follower.wake()

    def _on_revoked(self) -> None:
        if self.reading is not None:
            self.reading.cancel()
        self._own(self.end(UNAUTHENTICATED))

    # ---- commands ------------------------------------------------------------------------------

    async def _do_commands(self) -> None:
        while True:
            await self._do(await self.commands.get())

    async def _do(self, command: Command) -> None:
        assert self.session is not None
        try:
            done = await commands.do(self.session, command, on_saved=self._follow_new)
        except Refused as error:
            await self.send_frame(commands.error_frame(error, command))
            return
        except DatabaseError as error:
            log.error("a %s frame failed: %s", command.type, error)
            await self.send_frame(commands.unavailable_frame(command))
            return
        except Exception:
            log.exception("a %s frame failed", command.type)
            await self.send_frame(commands.unavailable_frame(command))
            return
        if done is not None:
            await self.send_frame(done)

    # ---- frames out ----------------------------------------------------------------------------

    async def _follow_new(self) -> None:
        if self.follower is None:
            await self._follow(Cursor())

    async def _follow(self, cursor: Cursor | None) -> None:
        """Greet with the conversation and send its events from `cursor` on."""
        assert self.session is not None and self.session.conversation is not None
        assert self.wakeups is not None
        conversation_id = str(self.session.conversation.pk)
        self.follower = Follower(conversation_id)
        self.wakeups.join(events.group_of(conversation_id))
        status = await self.follower.begin(cursor)
        await self.send_frame(commands.welcome(self.session, status, self.follower.cursor))
        self.reading = self._own(self._send_events(self.follower))

    async def _send_events(self, follower: Follower) -> None:
        while not self.is_closing:
            for frame in await follower.read():
                if not await self.window.has_room():
                    await self.end(SLOW_READER)
                    return
                at = frame["cursor"] if frame["type"] == "snapshot" else frame
                num_bytes = await self.send_frame(frame)
                self.window.sent(Cursor(at["epoch"], at["seq"]), num_bytes)

    async def send_frame(self, frame: dict[str, Any]) -> int:
        """Returns the bytes sent: 0 once the socket is closing."""
        if self.is_closing:
            return 0
        text = json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
        await self.send(text_data=text)
        return len(text.encode())

    def _own(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._let_go)
        return task

    def _let_go(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a socket's task failed", exc_info=error)
            asyncio.get_running_loop().create_task(self.end(1011))


async def close_all(code: int = RESTART) -> None:
    """The process ends: everybody may come back with a cursor."""
    await asyncio.gather(*(socket.end(code) for socket in list(open_sockets)), return_exceptions=True)
