import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from hamerspace.errors import MetricError
from hamerspace.tasks.metrics import METRICS

RNG = np.random.default_rng(0)
SOURCE = RNG.standard_normal((40, 6)).astype(np.float32)
OUTPUTS = SOURCE + RNG.standard_normal((40, 6)).astype(np.float32)


def test_cosine_is_that_of_the_rows():
    expected = np.diag(cosine_similarity(OUTPUTS, SOURCE)).mean()
    assert METRICS.load("cosine").value(OUTPUTS, SOURCE) == pytest.approx(expected, abs=1e-6)


def test_cosine_flattens_what_stands_behind_the_rows():
    cosine = METRICS.load("cosine")
    folded = cosine.value(OUTPUTS.reshape(40, 2, 3), SOURCE.reshape(40, 2, 3))
    assert folded == cosine.value(OUTPUTS, SOURCE)


def test_cosine_of_zeros():
    zeros = np.zeros((2, 3), np.float32)
    samples = METRICS.load("cosine").per_sample(zeros, np.array([[0, 0, 0], [1, 0, 0.0]]))
    assert samples.tolist() == [1.0, 0.0]


def test_agreement_is_the_share_of_equal_classes():
    agreement = METRICS.load("agreement")
    expected = np.mean(OUTPUTS.argmax(axis=1) == SOURCE.argmax(axis=1))
    assert (
        agreement.value(OUTPUTS, SOURCE) == expected == agreement.per_sample(OUTPUTS, SOURCE).mean()
    )


@pytest.mark.parametrize("name", ["agreement", "cosine"])
def test_the_source_agrees_with_itself_and_needs_no_labels(name):
    metric = METRICS.load(name)
    assert metric.value(SOURCE, SOURCE) == pytest.approx(1.0)
    assert metric.uses_source_outputs


def test_agreement_needs_classes():
    with pytest.raises(MetricError, match="use 'cosine'"):
        METRICS.load("agreement").value(OUTPUTS[:, :1], SOURCE[:, :1])


def test_cosine_refuses_other_shapes():
    with pytest.raises(MetricError, match="source outputs"):
        METRICS.load("cosine").value(OUTPUTS[:, :3], SOURCE)
