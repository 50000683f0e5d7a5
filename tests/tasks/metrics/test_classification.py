import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics as sk

from hamerspace.errors import MetricError
from hamerspace.tasks.metrics import METRICS

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 7, 300)
SCORES = (RNG.standard_normal((300, 7)) + 1.5 * np.eye(7)[LABELS]).astype(np.float32)


def value(name, outputs, labels):
    return METRICS.load(name).value(outputs, labels)


def test_values_are_those_of_scikit_learn():
    best = SCORES.argmax(axis=1)
    assert value("accuracy", SCORES, LABELS) == sk.accuracy_score(LABELS, best)
    balanced = sk.balanced_accuracy_score(LABELS, best)
    assert value("balanced_accuracy", SCORES, LABELS) == balanced
    assert value("f1_macro", SCORES, LABELS) == sk.f1_score(LABELS, best, average="macro")
    assert value("top5_accuracy", SCORES, LABELS) == sk.top_k_accuracy_score(LABELS, SCORES, k=5)
    probabilities = softmax(SCORES, axis=1)
    expected = sk.roc_auc_score(LABELS, probabilities, multi_class="ovr")
    assert value("roc_auc", probabilities, LABELS) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["accuracy", "top5_accuracy"])
def test_the_mean_per_sample_is_the_value_even_with_ties(name):
    metric = METRICS.load(name)
    coarse = np.round(SCORES)
    assert metric.per_sample(coarse, LABELS).dtype == np.float64
    assert metric.per_sample(coarse, LABELS).mean() == pytest.approx(metric.value(coarse, LABELS))


@pytest.mark.parametrize("name", ["balanced_accuracy", "f1_macro", "roc_auc"])
def test_other_metrics_are_no_mean_over_samples(name):
    assert METRICS.load(name).per_sample(SCORES, LABELS) is None


def test_two_classes_in_every_shape_give_one_roc_auc():
    labels = LABELS % 2
    logits = np.stack([-SCORES[:, 0], SCORES[:, 0]], axis=1) + labels[:, None] * [0, 1]
    logits = logits.astype(np.float32)
    expected = value("roc_auc", logits, labels)
    probabilities = softmax(logits.astype(np.float64), axis=1)
    assert value("roc_auc", probabilities, labels) == pytest.approx(expected)
    assert value("roc_auc", probabilities[:, 1:], labels) == pytest.approx(expected)
    assert value("roc_auc", probabilities[:, 1], labels) == pytest.approx(expected)


def test_labels_may_be_a_column_or_bool():
    assert value("accuracy", SCORES, LABELS[:, None]) == value("accuracy", SCORES, LABELS)
    assert value("accuracy", np.eye(2)[[0, 1]], np.array([False, True])) == 1.0


@pytest.mark.parametrize(
    ("name", "outputs", "labels", "words"),
    [
        ("accuracy", SCORES, LABELS + 1, "run from 1 to 7, but the model has 7 classes"),
        ("accuracy", SCORES, LABELS - 1, "run from -1 to 5"),
        ("accuracy", SCORES, np.eye(7)[LABELS], "as if one-hot"),
        ("accuracy", SCORES, LABELS.astype(float), "integer labels, not float64; cast"),
        ("accuracy", SCORES, np.zeros((300, 3), int), "one label a row"),
        ("accuracy", SCORES[:, :1], LABELS, r"shape \[300, 1\]; for one score .* 'roc_auc'"),
        ("accuracy", SCORES[:, :, None], LABELS, r"shape \[300, 7, 1\]"),
        ("top5_accuracy", SCORES[:, :5], LABELS % 5, "use 'accuracy'"),
        ("roc_auc", SCORES, LABELS % 6, "no row is of class 6"),
        ("roc_auc", SCORES[:, :2], LABELS * 0, "no row is of class 1"),
        ("roc_auc", SCORES[:, 0], LABELS, "has 2 classes, 0 to 1"),
    ],
)
def test_what_does_not_suit_is_told_even_before_there_are_outputs(name, outputs, labels, words):
    with pytest.raises(MetricError, match=f"metric '{name}': .*{words}"):
        value(name, outputs, labels)
    with pytest.raises(MetricError, match=f"metric '{name}': .*{words}"):
        METRICS.load(name).check(outputs.shape, labels)


@pytest.mark.parametrize("name", ["accuracy", "top5_accuracy", "balanced_accuracy", "roc_auc"])
def test_what_suits_passes_before_there_are_outputs(name):
    for shape in ((None, 7), (None, None)):
        METRICS.load(name).check(shape, LABELS)
    METRICS.load("roc_auc").check((None, 1), LABELS % 2)
