import warnings

import numpy as np
import pytest

from hamerspace.errors import MetricError
from hamerspace.tasks.metrics import METRICS, Metric, drop_points
from hamerspace.tasks.metrics.resolve import FunctionMetric

OUTPUTS = np.array([[0.1, 0.9], [0.8, 0.2]], np.float32)
LABELS = np.array([1, 1])


def metric(function, direction="maximize"):
    return FunctionMetric("task:score", function, direction)


@pytest.mark.parametrize("result", [1, 0.5, np.float32(0.5), np.int64(1), np.array([0.5])])
def test_numbers_are_numbers(result):
    value = metric(lambda *_: result).score(OUTPUTS, LABELS)
    assert type(value) is float
    assert value == result


def test_a_tensor_of_one_number_is_a_number():
    import torch

    assert metric(lambda *_: torch.tensor(0.5)).score(OUTPUTS, LABELS) == 0.5


def test_one_number_a_row_is_averaged_and_paired():
    rows = np.arange(float(len(OUTPUTS)))
    found = metric(lambda *_: rows)
    value, scores = found.combine(found.evidence(OUTPUTS, LABELS))
    assert value == rows.mean()
    assert scores.tolist() == rows.tolist()


def test_one_number_for_all_rows_is_not_paired():
    found = metric(lambda *_: 0.5)
    assert found.combine(found.evidence(OUTPUTS, LABELS)) == (0.5, None)


def test_evidence_without_a_value_of_its_own_is_averaged_the_worst_of_several():
    class Worst(Metric):
        name, direction, drop_unit = "worst", "maximize", None

        def rows(self, outputs, reference):
            return outputs

    value, scores = Worst().combine(Worst().evidence(OUTPUTS, LABELS))
    assert value == pytest.approx(0.45)
    assert scores.shape == (2, 2)


@pytest.mark.parametrize("evidence", [0.5, np.zeros(3), np.array(1.0)])
def test_evidence_has_the_rows_that_it_is_of(evidence):
    class Wrong(FunctionMetric):
        def rows(self, outputs, reference):
            return evidence

    with pytest.raises(MetricError, match="'w': the evidence of 2 rows is"):
        Wrong("w", lambda *_: 1.0, "maximize").score(OUTPUTS, LABELS)


@pytest.mark.parametrize(
    "result",
    [True, np.True_, "0.5", None, np.zeros(3), np.zeros(0), [0.5], 1j, np.nan, np.inf, -np.inf],
)
def test_anything_else_is_refused(result):
    with pytest.raises(MetricError, match="metric 'task:score' returned"):
        metric(lambda *_: result).score(OUTPUTS, LABELS)


def test_what_raises_is_named_with_the_shapes():
    with pytest.raises(MetricError) as error:
        metric(lambda *_: 1 / 0).score(OUTPUTS, LABELS)
    assert "metric 'task:score' raised ZeroDivisionError" in str(error.value)
    assert "outputs float32[2, 2] and labels int64[2]" in str(error.value)


def test_a_metric_cannot_change_what_it_judges():
    def destroy(outputs, labels):
        outputs[:] = 0
        return 1.0

    with pytest.raises(MetricError, match="read-only"):
        metric(destroy).score(OUTPUTS, LABELS)
    assert OUTPUTS[0, 1] == np.float32(0.9)


@pytest.mark.parametrize(
    ("outputs", "labels", "words"),
    [
        (OUTPUTS, np.zeros(3), "differ in their number of rows"),
        (OUTPUTS[:0], LABELS[:0], "or have none"),
    ],
)
def test_rows_are_checked(outputs, labels, words):
    with pytest.raises(MetricError, match=words):
        METRICS.load("accuracy").score(outputs, labels)


def test_no_warning_escapes():
    def warn(outputs, labels):
        warnings.warn("look", stacklevel=1)
        return 1.0

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metric(warn).score(OUTPUTS, LABELS) == 1.0


def test_what_a_users_metric_says_of_shapes_is_guarded():
    class Picky(FunctionMetric):
        def examine(self, output_shape, labels):
            labels[0] = output_shape[2]

    metric(lambda *_: 0.5).check((None, 2), LABELS)
    with pytest.raises(MetricError, match=r"'w' raised IndexError.*for outputs \[\?, 2\]"):
        Picky("w", lambda *_: 1.0, "maximize").check((None, 2), LABELS)
    with pytest.raises(MetricError, match="read-only"):
        Picky("w", lambda *_: 1.0, "maximize").check((None, 2, 3), LABELS)


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
