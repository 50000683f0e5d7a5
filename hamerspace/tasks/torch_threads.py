"""How many threads torch works on while a candidate is built.

On a busy machine threads wait for one that the system has put aside, and a step takes ten times
as long; on an idle one they make it faster.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_PERIOD = 64
_TIMED = 3


class ThreadChoice:
    """Trains on all cores or on one, whichever is faster at the moment.

    Nobody can tell beforehand: every 64 steps a few are timed with either.
    """

    def __init__(self) -> None:
        self._all = torch.get_num_threads()
        self._step = 0
        self._best_s = {self._all: 0.0, 1: 0.0}

    @contextmanager
    def step(self) -> Iterator[None]:
        """Around one training step."""
        position = self._step % _PERIOD
        self._step += 1
        if self._all == 1:
            yield
            return
        if position == 0:
            self._best_s = dict.fromkeys(self._best_s, float("inf"))
        if position < 2 * _TIMED:
            threads = self._all if position < _TIMED else 1
        else:
            threads = min(self._best_s, key=lambda count: self._best_s[count])
        torch.set_num_threads(threads)
        started = time.perf_counter()
        yield
        taken = time.perf_counter() - started
        if position < 2 * _TIMED:
            self._best_s[threads] = min(self._best_s[threads], taken)

    def restore(self) -> None:
        """Go back to all threads."""
        torch.set_num_threads(self._all)


@contextmanager
def one_thread() -> Iterator[None]:
    """For work in small batches, where threads cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
