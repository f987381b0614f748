"""Keeps processes running: starts them in order, restarts what dies, ends them all on request.

Written here, because the packaged process managers either end everything when one process ends (honcho)
or bring a daemon and a configuration of their own. Each child gets a session of its own, so that Ctrl-C
reaches the supervisor alone and children end in order, and a death signal, so that none outlives a
killed supervisor.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import logging.handlers
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from chatbot.processes import Process

PR_SET_PDEATHSIG = 1
MAX_LOG_BYTES = 10 * 1024 * 1024
# A process that dies young waits longer before each further try; one that lived is started at once.
BACKOFF_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
LIVED_S = 60.0
GRACE_S = 9.0

_libc = ctypes.CDLL(None)


class StartFailed(Exception):
    """A process ended, or was not ready in time; the message holds its last lines and the remedy."""


class Child:
    """One supervised process: its current incarnation, its log, and when it may be tried again."""

    def __init__(self, process: Process, log_dir: Path) -> None:
        self.process = process
        self.log_path = log_dir / f"{process.name}.log"
        self.tail: deque[str] = deque(maxlen=15)
        self.num_deaths = 0
        self.retry_at = 0.0
        self._popen: subprocess.Popen[str] | None = None
        self._started_at = 0.0
        self._log = logging.handlers.RotatingFileHandler(self.log_path, maxBytes=MAX_LOG_BYTES, backupCount=2)

    def start(self) -> None:
        self._started_at = time.monotonic()
        self._popen = subprocess.Popen(
            self.process.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=self._before_exec,
        )
        threading.Thread(target=self._keep_output, args=(self._popen,), daemon=True).start()

    def _before_exec(self) -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        os.nice(self.process.niceness)

    def _keep_output(self, popen: subprocess.Popen[str]) -> None:
        assert popen.stdout is not None
        for line in popen.stdout:
            self.tail.append(line.rstrip())
            self._log.emit(logging.makeLogRecord({"msg": line.rstrip()}))

    @property
    def is_alive(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self._popen.poll() if self._popen else None

    @property
    def pid(self) -> int | None:
        return self._popen.pid if self._popen else None

    def note_death(self) -> None:
        """Plan the next try: at once after a long life, later and later after short ones."""
        lived_long = time.monotonic() - self._started_at > LIVED_S
        self.num_deaths = 1 if lived_long else self.num_deaths + 1
        self.retry_at = time.monotonic() + BACKOFF_S[min(self.num_deaths - 1, len(BACKOFF_S) - 1)]
        self._signal_group(signal.SIGKILL)  # its own children must not hold its socket or port
        self._popen = None

    def terminate(self) -> None:
        if self.is_alive:
            assert self._popen is not None
            self._popen.terminate()

    def wait(self, timeout_s: float) -> None:
        """Wait for the end; whatever of its group is left after that is killed."""
        if self._popen is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(max(timeout_s, 0.05))
        self._signal_group(signal.SIGKILL)
        self._popen.wait()
        self._popen = None

    def _signal_group(self, number: signal.Signals) -> None:
        if self._popen is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, number)


class Supervisor:
    """Runs a table of processes.

    `tell(text)` receives one line for people whenever something changes.
    """

    def __init__(self, processes: list[Process], *, log_dir: Path, tell: Callable[[str], None]) -> None:
        self.children = {process.name: Child(process, log_dir) for process in processes}
        self.tell = tell
        self.is_stopping = threading.Event()

    def launch(self, name: str) -> None:
        """Start one process without waiting for it; `start` waits for it in its turn."""
        self.children[name].start()

    def start(self, *, timeout_s: float = 180.0) -> None:
        """Start all in order of their groups and wait until each is ready. Raises StartFailed."""
        for members in self._groups():
            for child in members:
                if not child.is_alive:
                    child.start()
            deadline = time.monotonic() + timeout_s
            for child in members:
                self._wait_until_ready(child, deadline)

    def _groups(self) -> list[list[Child]]:
        numbers = sorted({child.process.group for child in self.children.values()})
        return [[c for c in self.children.values() if c.process.group == number] for number in numbers]

    def _wait_until_ready(self, child: Child, deadline: float) -> None:
        name = child.process.name
        while not child.process.is_ready():
            if self.is_stopping.is_set():
                return
            if not child.is_alive:
                last_lines = "\n  ".join(child.tail)
                raise StartFailed(
                    f"{name} ended with code {child.exit_code} while starting. Its last lines"
                    f" (all in {child.log_path}):\n  {last_lines}"
                )
            if time.monotonic() > deadline:
                raise StartFailed(f"{name} was not ready in time. See {child.log_path}.")
            time.sleep(0.1)
        self.tell(f"{name} is ready")

    def watch(self, *, on_tick: Callable[[], None] = lambda: None) -> None:
        """Restart what dies, until `stop` is called from a signal handler."""
        while not self.is_stopping.wait(0.25):
            for child in self.children.values():
                if child.pid is not None and not child.is_alive:
                    code = child.exit_code
                    child.note_death()
                    wait_s = max(child.retry_at - time.monotonic(), 0.0)
                    self.tell(f"{child.process.name} ended (code {code}); starting again in {wait_s:.1f} s")
                elif child.pid is None and time.monotonic() >= child.retry_at:
                    child.start()
            on_tick()

    def restart(self, name: str) -> None:
        """End one process; `watch` brings it back."""
        child = self.children[name]
        child.terminate()
        child.wait(child.process.stop_s)
        child.retry_at = 0.0

    def stop(self) -> None:
        """End all, the last started first, within GRACE_S together."""
        self.is_stopping.set()
        deadline = time.monotonic() + GRACE_S
        for members in reversed(self._groups()):
            for child in members:
                child.terminate()
            for child in members:
                child.wait(min(child.process.stop_s, deadline - time.monotonic()))
