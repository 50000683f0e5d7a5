import numpy as np
import pytest
from sklearn import metrics as sk

from hamerspace.errors import MetricError
from hamerspace.tasks.metrics import METRICS

RNG = np.random.default_rng(0)
LABELS = RNG.standard_normal((50, 3)).astype(np.float32)
OUTPUTS = LABELS + RNG.standard_normal((50, 3)).astype(np.float32) / 10


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("r2", sk.r2_score),
        ("rmse", sk.root_mean_squared_error),
        ("mae", sk.mean_absolute_error),
    ],
)
def test_values_are_those_of_scikit_learn(name, reference):
    expected = reference(LABELS.astype(np.float64), OUTPUTS.astype(np.float64))
    assert METRICS.load(name).score(OUTPUTS, LABELS) == pytest.approx(expected)


def test_only_mae_is_a_mean_over_samples():
    for name in ("mae", "rmse", "r2"):
        metric = METRICS.load(name)
        scores = metric.combine(metric.evidence(OUTPUTS, LABELS))[1]
        assert (scores is not None) == (name == "mae")


@pytest.mark.parametrize("name", ["r2", "rmse", "mae"])
def test_a_column_is_never_broadcast_against_a_row(name):
    metric = METRICS.load(name)
    column = metric.score(OUTPUTS[:, :1], LABELS[:, 0])
    assert column == metric.score(OUTPUTS[:, 0], LABELS[:, 0])


def test_other_shapes_are_refused_with_a_hint():
    with pytest.raises(MetricError, match=r"\[50, 3\] and the labels \[50\]; for classes give"):
        METRICS.load("rmse").score(OUTPUTS, LABELS[:, 0])


def test_rows_that_cannot_be_compared_are_told_before_there_are_outputs():
    for shape, labels in (((None, 3), LABELS), ((None, None), LABELS), ((None, 1), LABELS[:, 0])):
        METRICS.load("rmse").check(shape, labels)
    with pytest.raises(MetricError, match=r"metric 'rmse': .*\[\?, 2\] and the labels \[50, 3\]"):
        METRICS.load("rmse").check((None, 2), LABELS)


def test_r2_of_one_row_is_no_number():
    with pytest.raises(MetricError, match="finite number"):
        METRICS.load("r2").score(OUTPUTS[:1], LABELS[:1])
