"""Example batches, drawn or taken from the data."""

import numpy as np

from hamerspace.tasks.example import example_batch, resized
from hamerspace.tasks.model import TensorSpec

SPECS = (TensorSpec("ids", "int64", (None, 3)), TensorSpec("x", "float32", (None, 2)))


def test_rows_repeat_from_the_start():
    assert resized({"a": np.array([1, 2])}, 5)["a"].tolist() == [1, 2, 1, 2, 1]
    assert resized({"a": np.array([1, 2])}, 1)["a"].tolist() == [1]


def test_data_come_first_and_the_rest_is_drawn_in_call_order():
    batch = example_batch(SPECS, {"x": np.array([[1, 2]], np.float32), "labels": np.array([3])})
    assert list(batch) == ["ids", "x"]
    assert batch["x"].tolist() == [[1, 2], [1, 2]]
    assert batch["ids"].tolist() == [[0, 0, 0]] * 2


def test_a_fixed_batch_is_kept():
    fixed = TensorSpec("x", "float32", (5, 2))
    assert example_batch([fixed], None)["x"].shape == (5, 2)
