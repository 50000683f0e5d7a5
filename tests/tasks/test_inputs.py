import numpy as np
import pytest

from hamerspace.tasks.inputs import array_problems, name_problems
from hamerspace.tasks.model import TensorSpec


def test_names_that_fit_are_no_problem():
    assert not list(name_problems(["x", "scale"], ["x", "scale", "bias"], ["x"]))


def test_a_missing_input_names_what_may_be_meant_before_what_is_too_much():
    (problem,) = name_problems(["feat", "y"], ["features"], ["features"])
    assert "'features'" in problem
    assert "if it is 'feat' or 'y', rename that array" in problem
    assert "constants" not in problem


def test_a_missing_input_of_several_may_be_a_constant():
    (problem,) = name_problems(["x"], ["x", "h"], ["x", "h"])
    assert "its inputs: x, h" in problem
    assert "constants: [h] (--constant h)" in problem


def test_an_array_too_much_may_be_the_labels():
    (problem,) = name_problems(["x", "target"], ["x"], ["x"])
    assert "set task.data.labels: target" in problem


@pytest.mark.parametrize(
    ("shape", "constant", "words"),
    [
        ((4, 11), False, "each row has shape [11], but the model takes [12]"),
        ((4,), False, "each row has shape [], but the model takes [12]"),
        ((7, 12), True, "it has shape [7, 12], but the model takes [1, 12]"),
    ],
)
def test_both_sizes_are_named(shape, constant, words):
    spec = TensorSpec("x", "float32", (1, 12), constant=constant)
    (problem,) = array_problems(np.zeros(shape, np.float32), spec)
    assert words in problem


def test_free_dimensions_and_any_batch_fit():
    spec = TensorSpec("x", "float32", (1, None, 3))
    assert not list(array_problems(np.zeros((9, 5, 3), np.float32), spec))
