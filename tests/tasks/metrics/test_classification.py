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
    return METRICS.load(name).score(outputs, labels)


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
def test_each_row_is_a_hit_or_a_miss_as_scikit_learn_breaks_ties(name):
    metric = METRICS.load(name)
    coarse = np.round(SCORES)
    value, scores = metric.combine(metric.evidence(coarse, LABELS))
    assert scores.dtype == np.float64
    if name == "top5_accuracy":
        assert value == sk.top_k_accuracy_score(LABELS, coarse, k=5)
    else:
        assert value == sk.accuracy_score(LABELS, coarse.argmax(axis=1))


@pytest.mark.parametrize("name", ["balanced_accuracy", "f1_macro", "roc_auc"])
def test_other_metrics_are_no_mean_over_samples(name):
    metric = METRICS.load(name)
    assert metric.combine(metric.evidence(SCORES, LABELS))[1] is None


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
        ("accuracy", SCORES, LABELS + 1, "run from 1 to 7, but the model has 7.*labels - 1"),
        ("f1_macro", SCORES, LABELS - 1, "run from -1 to 5"),
        ("accuracy", SCORES, LABELS + 0.5, "float64 with fractions"),
        ("accuracy", SCORES, np.zeros((300, 3), int), "one label a row"),
        ("f1_macro", SCORES[:, :1], LABELS, r"shape \[300, 1\]; for one score .* 'roc_auc'"),
        ("f1_macro", SCORES[:, :, None], LABELS, r"shape \[300, 7, 1\]"),
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


def test_classes_may_be_one_hot_or_floats():
    for labels in (np.eye(7, dtype=np.float32)[LABELS], np.eye(7, dtype=int)[LABELS], LABELS * 1.0):
        METRICS.load("accuracy").check((None, 7), labels)
        for name in ("accuracy", "f1_macro", "roc_auc"):
            assert value(name, SCORES, labels) == pytest.approx(value(name, SCORES, LABELS))


def test_classes_counted_from_minus_one_are_not_taken_for_no_class():
    with pytest.raises(MetricError, match="run from -1 to 5"):
        METRICS.load("accuracy").check((None, 7), LABELS - 1)


def test_accuracy_of_ids_that_the_model_gives_out():
    found = SCORES.argmax(axis=1)
    assert value("accuracy", found, LABELS) == value("accuracy", SCORES, LABELS)
    with pytest.raises(MetricError, match="for one number a row 'rmse'"):
        value("accuracy", found.astype(np.float32), LABELS)


@pytest.mark.parametrize("axis", [1, 3])
def test_accuracy_of_each_pixel_leaves_out_what_is_no_class(axis):
    rng = np.random.default_rng(0)
    scores, labels = rng.standard_normal((6, 3, 4, 5)), rng.integers(0, 3, (6, 4, 5))
    found = scores.argmax(axis=1)
    labels[:, 0] = 255
    expected = (found == labels)[:, 1:].mean()
    assert value("accuracy", np.moveaxis(scores, 1, axis), labels) == pytest.approx(expected)
    assert value("accuracy", found, labels) == pytest.approx(expected)
    one_hot = np.eye(3)[labels % 3]
    assert value("accuracy", scores, np.moveaxis(one_hot, 3, 1)) == (found == labels % 3).mean()


def test_an_outlier_detector_that_finds_none_is_not_right():
    labels = np.where(np.arange(200) % 10, 1, -1)
    constant = np.ones(200, np.int64)
    for source in (labels, constant):
        fitted = METRICS.load("accuracy").fitted(source)
        assert fitted.score(constant, labels) == pytest.approx(0.9)
        assert fitted.score(labels, labels) == 1.0
    assert METRICS.load("accuracy").chance(labels) == pytest.approx(0.9)


def test_what_is_no_class_among_ids_the_source_tells():
    found = np.arange(60).reshape(4, 15) % 2 * 255
    dead = np.zeros_like(found)
    assert METRICS.load("accuracy").fitted(found).score(dead, found) == pytest.approx(0.5)
    assert METRICS.load("accuracy").fitted(found % 2).score(found % 2, found) == pytest.approx(1.0)


def test_quantised_scores_are_scores():
    scores = np.round(255 * softmax(SCORES.astype(np.float64), axis=1)).astype(np.uint8)
    one_hot = np.eye(7)[LABELS]
    assert value("accuracy", scores, one_hot) == value("accuracy", scores, LABELS) > 0.5
    tags = scores > 20
    assert value("average_precision", scores, tags) == 1.0


def test_two_tags_are_ranked_each_by_itself():
    tags = np.random.default_rng(0).random((300, 2)) < 0.3
    scores = SCORES[:, :2] + tags
    METRICS.load("roc_auc").check((None, 2), tags)
    expected = sk.roc_auc_score(tags, scores, average="macro")
    assert value("roc_auc", scores, tags) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["fidelity_r2", "agreement", "average_precision", "rmse"])
def test_complex_outputs_are_refused(name):
    with pytest.raises(MetricError, match="complex64"):
        METRICS.load(name).check((None, 7), None, "complex64")


def test_accuracy_of_a_sequence_of_tags():
    scores = np.random.default_rng(0).standard_normal((8, 5, 7))
    labels = scores.argmax(axis=2)
    labels[:, 4] = -100
    assert value("accuracy", scores, labels) == 1.0
    labels[3] = -100
    with pytest.raises(MetricError, match="no label of row 3"):
        value("accuracy", scores, labels)


def test_several_tags_a_row():
    tags = np.random.default_rng(0).random((300, 7)) < 0.3
    rounded = SCORES.round(1)  # ties
    for scores in (rounded, 1 / (1 + np.exp(-rounded))):
        expected = sk.average_precision_score(tags, scores, average="macro")
        assert value("average_precision", scores, tags) == pytest.approx(expected)
        expected = sk.roc_auc_score(tags, scores, average="macro")
        assert value("roc_auc", scores, tags) == pytest.approx(expected)
    others = tags & (np.arange(7) != 3)
    for name in ("average_precision", "roc_auc"):
        METRICS.load(name).check((None, 7), others)
        assert "1 of 7 tags (3) do not count" in METRICS.load(name).remark(others)
        kept = np.arange(7) != 3
        assert value(name, SCORES, others) == value(name, SCORES[:, kept], tags[:, kept])
        with pytest.raises(MetricError, match="defined"):
            METRICS.load(name).check((None, 7), tags & False)
    with pytest.raises(MetricError, match="choose 'average_precision'"):
        METRICS.load("accuracy").check((None, 7), tags)


def test_what_is_reached_without_looking_at_the_input():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    metric = METRICS.load("accuracy")
    assert metric.chance(labels) == 0.6 == metric.chance(np.eye(3)[labels])
    constant = np.eye(3)[np.zeros(100, int)]
    for name in ("balanced_accuracy", "f1_macro", "roc_auc"):
        chance = METRICS.load(name).chance(labels)
        assert value(name, constant, labels) == pytest.approx(chance), name
