"""The supervisor starts in order, restarts what dies, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from chatbot.processes import Process
from chatbot.supervisor import StartFailed, Supervisor

SLEEPER = "import time; open({path!r}, 'a').write('x'); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER
CHILD_OF_ITS_OWN = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'input()'], stdin=-1); "
PARENT = CHILD_OF_ITS_OWN + SLEEPER


def make(tmp_path: Path, name: str, code: str = SLEEPER, *, group: int = 0, stop_s: float = 2.0) -> Process:
    path = tmp_path / name
    argv = [sys.executable, "-c", code.format(path=str(path))]
    return Process(name, argv, path.exists, group=group, stop_s=stop_s)


def wait_for(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_groups_start_in_order_and_all_become_ready(tmp_path: Path) -> None:
    lines: list[str] = []
    supervisor = Supervisor(
        [make(tmp_path, "second", group=1), make(tmp_path, "first", group=0)],
        log_dir=tmp_path,
        tell=lines.append,
    )
    try:
        supervisor.start(timeout_s=20)
        assert lines == ["first is ready", "second is ready"]
    finally:
        supervisor.stop()


def test_a_killed_child_is_started_again(tmp_path: Path) -> None:
    supervisor = Supervisor([make(tmp_path, "child")], log_dir=tmp_path, tell=lambda text: None)
    supervisor.start(timeout_s=20)
    first = supervisor.children["child"].pid
    assert first is not None

    def kill_then_stop() -> None:
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: (tmp_path / "child").read_text() == "xx")
        supervisor.is_stopping.set()

    # Children die with the thread that started them, so watching stays in this one.
    threading.Thread(target=kill_then_stop, daemon=True).start()
    supervisor.watch()
    second = supervisor.children["child"].pid
    supervisor.stop()
    assert second is not None
    assert second != first
    assert not alive(second)


def test_a_child_that_ends_while_starting_is_told_with_its_last_lines(tmp_path: Path) -> None:
    process = Process(
        "broken", [sys.executable, "-c", "print('no such model'); exit(3)"], lambda: False, group=0
    )
    supervisor = Supervisor([process], log_dir=tmp_path, tell=lambda text: None)
    with pytest.raises(StartFailed, match=r"(?s)broken ended with code 3.*no such model"):
        supervisor.start(timeout_s=20)
    supervisor.stop()


@pytest.mark.parametrize("code", [STUBBORN, PARENT], ids=["ignores SIGTERM", "has a child of its own"])
def test_stop_leaves_nothing_behind(tmp_path: Path, code: str) -> None:
    supervisor = Supervisor(
        [make(tmp_path, "child", code, stop_s=0.5)], log_dir=tmp_path, tell=lambda text: None
    )
    supervisor.start(timeout_s=20)
    pid = supervisor.children["child"].pid
    assert pid is not None
    group = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    supervisor.stop()
    wait_for(lambda: not any(alive(member) for member in group), timeout_s=3)


def test_children_end_with_a_killed_supervisor(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib\n"
        "from chatbot.processes import Process\n"
        "from chatbot.supervisor import Supervisor\n"
        f"mark = pathlib.Path({str(tmp_path / 'mark')!r})\n"
        f"code = {SLEEPER.format(path=str(tmp_path / 'mark'))!r}\n"
        "supervisor = Supervisor([Process('child', [sys.executable, '-c', code], mark.exists, group=0)],"
        f" log_dir=pathlib.Path({str(tmp_path)!r}), tell=print)\n"
        "supervisor.start(timeout_s=20)\n"
        "print('pid', supervisor.children['child'].pid, flush=True)\n"
        "supervisor.watch()\n"
    )
    environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "chatbot.settings"}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environ
    ) as owner:
        assert owner.stdout is not None
        pid = next(int(line.split()[1]) for line in owner.stdout if line.startswith("pid"))
        assert alive(pid)
        owner.kill()
    wait_for(lambda: not alive(pid))
