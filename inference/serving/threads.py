"""How many cores a thread may use. Several threads of the engine process compute at the same time."""

from __future__ import annotations

import os
import threading

import torch


def begin_compute_thread(num_threads: int, niceness: int = 0) -> None:
    """Called first in a thread that computes: its OpenMP team's size and priority, for it alone.

    torch keeps the size per thread but takes a global default at the thread's first operation; asking
    for the size at once makes this thread's own choice stick before another thread changes the default.
    """
    if niceness:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
    torch.set_num_threads(num_threads or num_cores())
    torch.get_num_threads()


def num_cores() -> int:
    """Those that this process may run on, which in a container are fewer than the machine's."""
    return len(os.sched_getaffinity(0))
