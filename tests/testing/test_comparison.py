from pathlib import Path

import numpy as np
import pytest

from hamerspace.tasks.model import ModelArtifact, TensorSpec
from hamerspace.testing._comparison import Tolerance, compare, random_batch

OUTPUTS = (TensorSpec("a", "float32", (None, 2)), TensorSpec("b", "int64", (None,)))
SOURCE = ModelArtifact(
    Path(), "onnx", (TensorSpec("x", "float32", (None, 3)), TensorSpec("y", "int64", (4,))), OUTPUTS
)
GOOD = {"a": np.array([[1, 2], [3, 5]], np.float32), "b": np.array([1, 2])}


NEAR = Tolerance(0.9, 0.1)


def check(found, tolerance=NEAR):
    compare("case", [found], [GOOD], SOURCE, tolerance)


def test_equal_outputs_pass():
    check(GOOD)


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        ({"b": GOOD["b"], "a": GOOD["a"]}, "case"),
        ({**GOOD, "a": GOOD["a"].astype(np.float16)}, "output a is float16"),
        ({**GOOD, "b": GOOD["b"].astype(np.int32)}, "output b is int32"),
        ({**GOOD, "a": GOOD["a"][:1]}, "output a has shape"),
        ({**GOOD, "a": GOOD["a"] * np.nan}, "output a is not finite"),
        ({**GOOD, "a": GOOD["a"] + 1}, "output a is off by 1"),
    ],
)
def test_what_a_plug_in_can_get_wrong_is_told(found, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check(found)


def test_uncorrelated_outputs_fail_without_an_error_bound():
    with pytest.raises(AssertionError, match="correlates"):
        check({**GOOD, "a": -GOOD["a"]}, Tolerance(0.9))


def test_a_dead_small_column_beside_a_large_one_fails():
    rng = np.random.default_rng(0)
    wide = {**GOOD, "a": (rng.standard_normal((20, 2)) * [100, 0.1]).astype(np.float32)}
    dead = {**wide, "a": wide["a"] * np.float32([1, 0])}
    compare("case", [wide], [wide], SOURCE, Tolerance(0.99))
    with pytest.raises(AssertionError, match=r"1 of 2 channels of axis 1 \(1\) are the same"):
        compare("case", [dead], [wide], SOURCE, Tolerance(0.99))


def test_a_fixed_batch_dimension_wins():
    batch = random_batch(SOURCE, 7, seed=0)
    assert batch["x"].shape == (7, 3)
    assert batch["y"].shape == (4,)
