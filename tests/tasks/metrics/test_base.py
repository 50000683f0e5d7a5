import warnings

import numpy as np
import pytest

from hamerspace.errors import MetricError
from hamerspace.tasks.metrics import METRICS, check_metric, drop_points
from hamerspace.tasks.metrics.resolve import FunctionMetric

OUTPUTS = np.array([[0.1, 0.9], [0.8, 0.2]], np.float32)
LABELS = np.array([1, 1])


def metric(function, direction="maximize"):
    return FunctionMetric("task:score", function, direction)


@pytest.mark.parametrize("result", [1, 0.5, np.float32(0.5), np.int64(1), np.array([0.5])])
def test_numbers_are_numbers(result):
    value = metric(lambda *_: result).value(OUTPUTS, LABELS)
    assert type(value) is float
    assert value == result


def test_a_tensor_of_one_number_is_a_number():
    import torch

    assert metric(lambda *_: torch.tensor(0.5)).value(OUTPUTS, LABELS) == 0.5


def test_one_number_a_row_is_averaged_and_paired():
    rows = np.arange(float(len(OUTPUTS)))
    found = metric(lambda *_: rows)
    assert found.value(OUTPUTS, LABELS) == rows.mean()
    assert found.per_sample(OUTPUTS, LABELS).tolist() == rows.tolist()


def test_one_number_for_all_rows_is_not_paired():
    assert metric(lambda *_: 0.5).per_sample(OUTPUTS, LABELS) is None


@pytest.mark.parametrize(
    "result",
    [True, np.True_, "0.5", None, np.zeros(3), np.zeros(0), [0.5], 1j, np.nan, np.inf, -np.inf],
)
def test_anything_else_is_refused(result):
    with pytest.raises(MetricError, match="metric 'task:score' returned"):
        metric(lambda *_: result).value(OUTPUTS, LABELS)


def test_what_raises_is_named_with_the_shapes():
    with pytest.raises(MetricError) as error:
        metric(lambda *_: 1 / 0).value(OUTPUTS, LABELS)
    assert "metric 'task:score' raised ZeroDivisionError" in str(error.value)
    assert "outputs float32[2, 2] and labels int64[2]" in str(error.value)


def test_a_metric_cannot_change_what_it_judges():
    def destroy(outputs, labels):
        outputs[:] = 0
        return 1.0

    with pytest.raises(MetricError, match="read-only"):
        metric(destroy).value(OUTPUTS, LABELS)
    assert OUTPUTS[0, 1] == np.float32(0.9)


@pytest.mark.parametrize(
    ("outputs", "labels", "words"),
    [
        (OUTPUTS, np.zeros(3), "differ in their number of rows"),
        (OUTPUTS[:0], LABELS[:0], "or have none"),
        (np.full((2, 2), np.nan, np.float32), LABELS, "hold NaN in 2 of 2 rows"),
    ],
)
def test_rows_and_nan_are_checked(outputs, labels, words):
    with pytest.raises(MetricError, match=words):
        METRICS.load("accuracy").value(outputs, labels)


def test_no_warning_escapes():
    def warn(outputs, labels):
        warnings.warn("look", stacklevel=1)
        return 1.0

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metric(warn).value(OUTPUTS, LABELS) == 1.0


def test_what_a_users_metric_says_of_shapes_is_guarded():
    class Picky(FunctionMetric):
        def examine(self, output_shape, labels):
            labels[0] = output_shape[2]

    metric(lambda *_: 0.5).check((None, 2), LABELS)
    with pytest.raises(MetricError, match=r"'w' raised IndexError.*for outputs \[\?, 2\]"):
        Picky("w", lambda *_: 1.0, "maximize").check((None, 2), LABELS)
    with pytest.raises(MetricError, match="read-only"):
        Picky("w", lambda *_: 1.0, "maximize").check((None, 2, 3), LABELS)


def test_check_returns_the_value_of_the_source():
    assert check_metric(METRICS.load("accuracy"), OUTPUTS, LABELS) == 0.5


def test_check_refuses_chance():
    draws = iter([0.5, 0.6])
    with pytest.raises(MetricError, match="must be deterministic"):
        check_metric(metric(lambda *_: next(draws)), OUTPUTS, LABELS)


def test_check_refuses_samples_that_contradict_the_value():
    class Wrong(FunctionMetric):
        def compute_per_sample(self, outputs, reference):
            return np.zeros(len(outputs))

    with pytest.raises(MetricError, match=r"mean of its per-sample values is 0\.0"):
        check_metric(Wrong("w", lambda *_: 1.0, "maximize"), OUTPUTS, LABELS)


def test_check_refuses_an_error_of_zero():
    with pytest.raises(MetricError, match="'rmse' is 0 for the source model"):
        check_metric(METRICS.load("rmse"), OUTPUTS, OUTPUTS)


@pytest.mark.parametrize(
    ("name", "source", "candidate", "points"),
    [
        ("accuracy", 0.90, 0.88, 2.0),
        ("accuracy", 0.90, 0.91, -1.0),
        ("cosine", 1.0, 0.97, 3.0),
        ("rmse", 4.0, 5.0, 25.0),
        ("mae", 4.0, 3.0, -25.0),
    ],
)
def test_drops_of_named_metrics(name, source, candidate, points):
    assert drop_points(METRICS.load(name), source, candidate) == pytest.approx(points)


@pytest.mark.parametrize(
    ("direction", "source", "candidate", "points"),
    [
        ("maximize", 0.9, 0.89, 1.0),
        ("maximize", 30.0, 27.0, 10.0),
        ("maximize", -2.0, -3.0, 50.0),
        ("minimize", 0.5, 0.6, 20.0),
    ],
)
def test_drops_of_user_metrics_follow_the_source(direction, source, candidate, points):
    own = metric(lambda *_: 0.0, direction)
    assert drop_points(own, source, candidate) == pytest.approx(points)
