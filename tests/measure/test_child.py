"""What the measuring process makes of a session that works on a device of its own."""

from multiprocessing import Pipe
from threading import Thread

import numpy as np
import pytest

from hamerspace.backends.base import Session
from hamerspace.errors import DeviceError
from hamerspace.measure.child import ModelHost, serve


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


class Selecting(Session):
    """Rows of as many columns as the batch's first value says, along the axis that it is told."""

    def run(self, batch):
        width = int(batch["x"][0, 0])
        return {"y": np.zeros((len(batch["x"]), width), np.float32)}


@pytest.fixture
def evaluate(host, tmp_path):
    """``evaluate(session, x, output="y", batch_size=2, **axes)`` gives what the process answers."""

    def evaluate(session, x, batch_size=2, row_axis=0):
        np.save(tmp_path / "x.npy", x)
        host._session, host._row_axes = session, {"y": row_axis}
        return host.evaluate({"x": str(tmp_path / "x.npy")}, batch_size, 0, len(x), ["y"])["y"]

    return evaluate


def test_rows_of_differing_sizes_are_refused_by_the_name_of_the_output(evaluate):
    widths = np.array([[3], [3], [4], [4]])
    assert evaluate(Selecting(), widths[:2]).shape == (2, 3)
    with pytest.raises(ValueError, match=r"'y' has rows of shape \(3,\) for some .* \(4,\) for"):
        evaluate(Selecting(), widths)


def test_another_number_of_rows_than_asked_for_is_never_cut(evaluate):
    class Objects(Session):
        def run(self, batch):
            return {"y": np.zeros((3 * len(batch["x"]), 4), np.float32)}

    with pytest.raises(ValueError, match=r"'y' is \[6, 4\] for a batch of 2"):
        evaluate(Objects(), np.zeros((5, 1)))
    with pytest.raises(ValueError, match="no entry for each row"):
        evaluate(Objects(), np.zeros((4, 1)), row_axis=None)


def test_only_what_filled_up_the_last_batch_is_dropped(evaluate):
    class Transposed(Session):
        def run(self, batch):
            return {"y": batch["x"].T[:, :, None]}

    x = np.arange(15.0).reshape(5, 3)
    np.testing.assert_array_equal(evaluate(Transposed(), x, row_axis=1)[:, :, 0], x)


def test_a_fault_of_the_device_is_told_from_one_of_the_model():
    class Failing:
        def fail(self, error):
            raise error

    ours, theirs = Pipe()
    serving = Thread(target=serve, args=(Failing(), theirs))
    serving.start()
    for error in (DeviceError("no GPU any more"), ValueError("no such kernel")):
        ours.send(("fail", {"error": error}))
    assert ours.recv() == ("device", "no GPU any more")
    assert ours.recv() == ("error", "ValueError: no such kernel")
    ours.close()
    serving.join()
