"""What the measuring process makes of a session that works on a device of its own."""

import numpy as np
import pytest

from hamerspace.backends.base import Session
from hamerspace.measure.child import ModelHost


class OnDevice(Session):
    """Takes 5 ns a run by its own clock, and notes the batches."""

    def __init__(self):
        self.seen = []

    def run(self, batch):
        return batch

    def device_ns(self, batches):
        self.seen += [int(batch["x"][0]) for batch in batches]
        return [5] * len(batches)


class OnProcessor(Session):
    def run(self, batch):
        return batch


@pytest.fixture
def host():
    host = ModelHost()
    host._timed = [{"x": np.array([index])} for index in range(3)]
    return host


def test_the_clock_of_a_device_stands_for_wall_and_cpu_time(host):
    session = host._session = OnDevice()
    assert host.block(2) == ([5, 5], [5, 5])
    assert host.block(2) == ([5, 5], [5, 5])
    assert session.seen == [0, 1, 2, 0]


def test_without_one_the_runs_are_timed(host):
    host._session = OnProcessor()
    wall, cpu = host.block(4)
    assert len(wall) == len(cpu) == 4
    assert all(ns > 0 for ns in wall)
