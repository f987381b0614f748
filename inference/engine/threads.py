"""How many threads the next step should use.

Torch's threads wait for each other after every operation, a hundred times per token. When another
process holds one of the cores, the rest spin until it lets go: measured on two cores with one of them
taken, two threads decode 6 tokens/s where a single one decodes 24. Nothing says so beforehand. So steps
are timed, and now and then, or when one is suddenly slow, a few run with the other choice.
"""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from time import perf_counter

import torch

FIRST_PROBE, LAST_PROBE = 16, 64  # steps until the next probe; doubled when a probe loses
NUM_WINS = 2  # probes in a row that must win
GAIN = 0.92  # a probe wins with at most this share of the usual time
SUDDEN = 1.6  # a step this many times slower than usual calls for a probe
SMOOTHING = 0.3


class ThreadGovernor:
    """Chooses between all threads and one. Only steps of equal `kind` are compared."""

    def __init__(self, max_threads: int) -> None:
        self.max_threads = max_threads
        self.current = max_threads
        self._usual_s: dict[tuple[int, Hashable], float] = {}
        self._interval = self._countdown = FIRST_PROBE
        self._num_wins = 0

    @contextmanager
    def step(self, kind: Hashable) -> Iterator[None]:
        """Run one step with as many threads as pay, and learn from its time."""
        threads = self.choose(kind)
        torch.set_num_threads(threads)
        start = perf_counter()
        yield
        self.learn(kind, threads, perf_counter() - start)

    def choose(self, kind: Hashable) -> int:
        is_probe = self._countdown <= 0 and self.max_threads > 1 and (self.current, kind) in self._usual_s
        return self._other if is_probe else self.current

    def learn(self, kind: Hashable, threads: int, seconds: float) -> None:
        """Take note of a step of that kind; a probe may change the choice."""
        usual = self._usual_s.get((threads, kind), seconds)
        self._usual_s[threads, kind] = usual + SMOOTHING * (seconds - usual)
        if threads != self.current:
            self._judge(seconds < GAIN * self._usual_s[self.current, kind])
        elif seconds > SUDDEN * usual:
            self._countdown = 0
        else:
            self._countdown -= 1

    def _judge(self, is_win: bool) -> None:
        if not is_win:
            self._interval = min(2 * self._interval, LAST_PROBE)
        elif self._num_wins + 1 < NUM_WINS:
            self._num_wins += 1
            return
        else:
            self.current, self._interval = self._other, FIRST_PROBE
        self._num_wins, self._countdown = 0, self._interval

    @property
    def _other(self) -> int:
        return 1 if self.current == self.max_threads else self.max_threads
