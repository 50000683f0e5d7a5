import numpy as np
import pytest
from sklearn.metrics import r2_score
from sklearn.metrics.pairwise import cosine_similarity

from hamerspace.errors import MetricError
from hamerspace.tasks.metrics import METRICS, drop_points

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


@pytest.mark.parametrize("name", ["agreement", "cosine", "fidelity_r2"])
def test_the_source_agrees_with_itself_and_needs_no_labels(name):
    metric = METRICS.load(name)
    assert metric.value(SOURCE, SOURCE) == pytest.approx(1.0)
    assert metric.uses_source_outputs


def test_fidelity_r2_is_that_of_scikit_learn():
    expected = r2_score(SOURCE.astype(np.float64), OUTPUTS.astype(np.float64))
    assert METRICS.load("fidelity_r2").value(OUTPUTS, SOURCE) == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(40,), (40, 1)])
def test_fidelity_r2_sees_the_magnitude_of_one_value_a_row(shape):
    metric = METRICS.load("fidelity_r2")
    scores = 1 / (1 + np.exp(-SOURCE[:, 0].reshape(shape)))
    assert metric.value(scores, scores) == 1.0
    assert metric.value(10 * scores, scores) < 0
    assert metric.value(np.full_like(scores, scores.mean()), scores) == pytest.approx(0, abs=1e-6)
    near = scores + 0.1 * scores.std() * np.sign(SOURCE[:, 1].reshape(shape))
    assert drop_points(metric, 1.0, metric.value(near, scores)) == pytest.approx(1.0, rel=1e-3)


def test_fidelity_r2_needs_outputs_that_vary():
    constant = SOURCE.copy()
    constant[:, 2] = 0.5
    with pytest.raises(MetricError, match="same number in all 40 rows as value 2 of a row"):
        METRICS.load("fidelity_r2").value(OUTPUTS, constant)


@pytest.mark.parametrize(
    ("name", "remedy"), [("agreement", "use 'fidelity_r2'"), ("cosine", "choose 'fidelity_r2'")]
)
def test_one_value_a_row_is_for_fidelity_r2(name, remedy):
    metric = METRICS.load(name)
    with pytest.raises(MetricError, match=remedy):
        metric.value(OUTPUTS[:, :1], SOURCE[:, :1])
    with pytest.raises(MetricError, match=rf"metric '{name}': .*\[\?, 1\].*{remedy}"):
        metric.check((None, 1), None)


def test_agreement_needs_classes():
    with pytest.raises(MetricError, match="use 'cosine'"):
        METRICS.load("agreement").value(OUTPUTS[:, :, None], SOURCE[:, :, None])


def test_cosine_refuses_other_shapes():
    with pytest.raises(MetricError, match="source outputs"):
        METRICS.load("cosine").value(OUTPUTS[:, :3], SOURCE)
