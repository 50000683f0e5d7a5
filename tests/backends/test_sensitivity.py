import numpy as np
import pytest

from hamerspace.backends import _sensitivity as sensitivity
from hamerspace.errors import BuildError
from hamerspace.tasks.model import TensorSpec


def test_error_is_noise_over_power_averaged_over_outputs():
    expected = [{"a": np.array([3.0, 4.0]), "b": np.array([2.0])}]
    found = [{"a": np.array([3.0, 3.0]), "b": np.array([2.0])}]
    assert sensitivity.relative_error(expected, found) == pytest.approx(1 / 25 / 2)


def test_masked_scores_do_not_count_and_a_broken_layer_is_infinitely_bad():
    expected = [{"a": np.array([1.0, -np.inf])}]
    assert sensitivity.relative_error(expected, [{"a": np.array([1.0, -np.inf])}]) == 0
    assert sensitivity.relative_error(expected, [{"a": np.array([np.nan, 0])}]) == float("inf")


def test_of_many_layers_the_heaviest_are_ranked():
    layers = {str(i): i for i in range(sensitivity.MAX_LAYERS + 20)}
    ranked = sensitivity.rank(
        layers,
        lambda _: {"y": np.ones(1)},
        [{}],
        lambda name: lambda _: {"y": np.ones(1) + int(name)},
    )
    names = [int(name) for name, _ in ranked]
    assert len(names) == sensitivity.MAX_LAYERS
    assert names == sorted(names, reverse=True)
    assert min(names) == 20


def test_a_ranking_looks_at_few_rows():
    batches = [{"h": np.zeros(1), "x": np.zeros((5, 2))} for _ in range(40)]
    state = TensorSpec("h", "float32", (1,), constant=True)
    rows = TensorSpec("x", "float32", (None, 2))
    assert len(sensitivity.ranking_batches(batches, (state, rows))) == 7


def test_a_model_without_layers_is_refused():
    with pytest.raises(BuildError, match="no layer"):
        sensitivity.rank({}, lambda _: {}, [], lambda _: lambda _: {})
