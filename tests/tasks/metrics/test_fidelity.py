import numpy as np
import pytest
from sklearn.metrics import r2_score
from sklearn.metrics.pairwise import cosine_similarity

from hamerspace.errors import MetricError
from hamerspace.tasks.metrics import METRICS, drop_points
from hamerspace.tasks.metrics.fidelity import scores_doubt
from hamerspace.tasks.metrics.spread import Spread

RNG = np.random.default_rng(0)
SOURCE = RNG.standard_normal((40, 6)).astype(np.float32)
OUTPUTS = SOURCE + RNG.standard_normal((40, 6)).astype(np.float32)


def test_cosine_is_that_of_the_rows():
    expected = np.diag(cosine_similarity(OUTPUTS, SOURCE)).mean()
    assert METRICS.load("cosine").score(OUTPUTS, SOURCE) == pytest.approx(expected, abs=1e-6)


def test_cosine_flattens_what_stands_behind_the_rows():
    cosine = METRICS.load("cosine")
    folded = cosine.score(OUTPUTS.reshape(40, 2, 3), SOURCE.reshape(40, 2, 3))
    assert folded == cosine.score(OUTPUTS, SOURCE)


def test_cosine_of_zeros():
    zeros = np.zeros((2, 3), np.float32)
    samples = METRICS.load("cosine").evidence(zeros, np.array([[0, 0, 0], [1, 0, 0.0]]))
    assert samples.tolist() == [1.0, 0.0]


def test_agreement_is_the_share_of_equal_classes():
    agreement = METRICS.load("agreement")
    expected = np.mean(OUTPUTS.argmax(axis=1) == SOURCE.argmax(axis=1))
    assert agreement.score(OUTPUTS, SOURCE) == expected


@pytest.mark.parametrize("name", ["agreement", "cosine", "fidelity_r2"])
def test_the_source_agrees_with_itself_and_needs_no_labels(name):
    metric = METRICS.load(name)
    assert metric.score(SOURCE, SOURCE) == pytest.approx(1.0)
    assert not metric.needs_labels


def test_fidelity_r2_is_that_of_scikit_learn():
    each = r2_score(SOURCE.astype(np.float64), OUTPUTS.astype(np.float64), multioutput="raw_values")
    expected = each.min()
    assert METRICS.load("fidelity_r2").score(OUTPUTS, SOURCE) == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(40,), (40, 1)])
def test_fidelity_r2_sees_the_magnitude_of_one_value_a_row(shape):
    metric = METRICS.load("fidelity_r2")
    scores = 1 / (1 + np.exp(-SOURCE[:, 0].reshape(shape)))
    assert metric.score(scores, scores) == 1.0
    assert metric.score(10 * scores, scores) < 0
    assert metric.score(np.full_like(scores, scores.mean()), scores) == pytest.approx(0, abs=1e-6)
    near = scores + 0.1 * scores.std() * np.sign(SOURCE[:, 1].reshape(shape))
    assert drop_points(metric, 1.0, metric.score(near, scores)) == pytest.approx(1.0, rel=1e-3)


def test_fidelity_r2_needs_outputs_that_vary():
    constant = np.full_like(SOURCE, 0.5)
    with pytest.raises(MetricError, match="gives the same in all rows"):
        METRICS.load("fidelity_r2").score(OUTPUTS, constant)


@pytest.mark.parametrize(
    ("name", "remedy"), [("agreement", "use 'fidelity_r2'"), ("cosine", "choose 'fidelity_r2'")]
)
def test_one_value_a_row_is_for_fidelity_r2(name, remedy):
    metric = METRICS.load(name)
    with pytest.raises(MetricError, match=remedy):
        metric.score(OUTPUTS[:, :1], SOURCE[:, :1])
    with pytest.raises(MetricError, match=rf"metric '{name}': .*\[\?, 1\].*{remedy}"):
        metric.check((None, 1), None)


def test_agreement_needs_classes():
    with pytest.raises(MetricError, match="use 'fidelity_r2'"):
        METRICS.load("agreement").score(OUTPUTS[:, :, None], SOURCE[:, :, None])


def test_cosine_refuses_other_shapes():
    with pytest.raises(MetricError, match="source outputs"):
        METRICS.load("cosine").score(OUTPUTS[:, :3], SOURCE)


RATES = [1e2, 1e2, 1e2, 1e2, 0.1, 0.1]
"""Boxes in pixels and scores, as their standard deviations."""


def mixed(shape, axis, seed=0):
    """Outputs whose channels stand along an axis: boxes in pixels, then scores."""
    values = np.random.default_rng(seed).standard_normal(shape)
    scale = np.array(RATES).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    values = values * scale
    places = [slice(None)] * len(shape)
    places[axis] = slice(4, None)
    scores = tuple(places)
    values[scores] = np.clip(values[scores] + 0.3, 0, 1)
    return values.astype(np.float32), scores


LAYOUTS = [
    ((64, 6), 1),
    ((64, 6, 50), 1),
    ((64, 50, 6), 2),
    ((64, 1500, 6), 2),
    ((64, 6, 8, 8), 1),
    ((64, 8, 8, 6), 3),
    ((64, 3, 8, 8, 6), 4),
]


@pytest.mark.parametrize(("shape", "axis"), LAYOUTS)
def test_a_dead_head_is_never_close_to_the_source(shape, axis):
    metric = METRICS.load("fidelity_r2")
    source, scores = mixed(shape, axis)
    for level in (0.0, float(source[scores].mean())):
        dead = source.copy()
        dead[scores] = level
        assert metric.score(dead, source) <= 1e-6
        for part in (slice(0, 10), slice(None)):
            assert metric.fitted(source).score(dead[part], source[part]) < 0.3
    if len(shape) > 2:
        assert METRICS.load("cosine").score(dead, source) > 0.999


def test_a_dead_output_is_never_close_to_the_source_though_another_is():
    boxes = RNG.standard_normal((40, 9, 4)).astype(np.float32)
    scores = RNG.random((40, 9, 3)).astype(np.float32) ** 8
    source = {"boxes": boxes, "scores": scores, "count": np.arange(40), "anchors": 0 * boxes}
    metric = METRICS.load("fidelity_r2_all")
    assert metric.score(source, source) == 1.0
    assert metric.score({**source, "scores": 0 * scores}, source) <= 0.0
    assert metric.score({**source, "count": np.arange(40) // 2}, source) < 0.1
    logits = np.eye(5, dtype=np.float32)[np.arange(40) % 5] + 0.1
    classes = {"logits": logits, **source}
    assert metric.score({**classes, "logits": 3 * logits}, classes) == 1.0
    assert metric.score({**classes, "logits": logits[::-1]}, classes) < 0.3
    assert metric.score({**classes, "scores": 0 * scores}, classes) <= 0.0
    assert metric.knowing([]).score({**classes, "logits": 3 * logits}, classes) < 0.0
    alone = METRICS.load("fidelity_r2").score(boxes + 0.1, boxes)
    assert metric.score({**source, "boxes": boxes + 0.1}, source) == pytest.approx(alone)
    still = {name: np.zeros_like(array, np.float32) for name, array in source.items()}
    with pytest.raises(MetricError, match="the same in all rows"):
        metric.score(still, still)


@pytest.mark.parametrize(("shape", "axis"), LAYOUTS)
def test_each_channel_counts_by_its_own_spread(shape, axis):
    metric = METRICS.load("fidelity_r2")
    source, scores = mixed(shape, axis)
    near = source.copy()
    noise = np.random.default_rng(1).standard_normal(source[scores].shape)
    near[scores] += 0.1 * source[scores].std() * noise
    assert metric.score(near, source) == pytest.approx(0.99, abs=0.004)


def test_places_that_differ_do_not_hide_that_rows_do_not():
    grid = np.arange(0, 640, 80.0)
    source = grid + np.random.default_rng(0).standard_normal((64, 2, 8))
    dead = np.broadcast_to(source.mean(axis=0), source.shape)
    assert METRICS.load("cosine").score(dead, source) > 0.999
    assert METRICS.load("fidelity_r2").score(dead, source) == pytest.approx(0, abs=1e-6)


def test_a_constant_channel_is_measured_by_its_own_magnitude():
    metric = METRICS.load("fidelity_r2")
    source = SOURCE.copy()
    source[:, 2] = 5.0
    near = source.copy()
    near[:, 2] = 5.05
    assert metric.score(near, source) == pytest.approx(1 - 1e-4, abs=1e-6)
    near[:, 2] = 0.0
    assert metric.score(near, source) == pytest.approx(0.0, abs=1e-6)


def test_rounding_to_half_precision_is_no_loss():
    source = SOURCE.copy()
    source[:, 2] = 5 + 1e-4 * SOURCE[:, 2]
    near = source.astype(np.float16).astype(np.float32)
    assert METRICS.load("fidelity_r2").score(near, source) > 0.99


def test_a_tag_that_hardly_ever_occurs_counts_by_the_spread_of_the_others():
    metric = METRICS.load("fidelity_r2")
    source = 1 / (1 + np.exp(-4 * SOURCE))
    source[:, 2] = 1e-6 * np.arange(40)
    found = source.copy()
    found[:, 2] = 0.0
    assert metric.score(found, source) > 0.999
    found[:, 3] = 0.0
    assert metric.score(found, source) < 0


@pytest.mark.parametrize("classes", [3, 10, 200])
def test_a_rounded_softmax_is_one(classes):
    logits = 3 * np.random.default_rng(0).standard_normal((200, classes))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    bfloat16 = (shares.astype(np.float32).view(np.uint32) >> 16 << 16).view(np.float32)
    for rounded in (bfloat16, shares.astype(np.float16), np.round(256 * shares) / 256):
        assert scores_doubt(rounded) == ""
    tags = np.round(256 / (1 + np.exp(-logits))) / 256
    assert "between 0 and 1" in scores_doubt(tags)


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (SOURCE, ""),
        (np.eye(6)[np.arange(40) % 6], ""),
        (np.arange(40), ""),
        (1 / (1 + np.exp(-SOURCE)), "between 0 and 1"),
        (SOURCE / np.linalg.norm(SOURCE, axis=1, keepdims=True), "embeddings"),
        (SOURCE * RATES, "differ in scale"),
        (SOURCE + 20 * (np.arange(6) == 2), "the same column"),
    ],
)
def test_what_tells_scores_of_classes_from_other_numbers(outputs, words):
    assert words in scores_doubt(outputs)
    assert bool(words) == bool(scores_doubt(outputs))


def test_agreement_of_ids_that_the_model_gives_out():
    ids = SOURCE.argmax(axis=1)
    other = OUTPUTS.argmax(axis=1)
    agreement = METRICS.load("agreement")
    assert agreement.score(other, ids) == agreement.score(OUTPUTS, SOURCE)


def test_quantised_scores_agree_by_the_greatest():
    source = np.random.default_rng(0).integers(0, 250, (40, 6)).astype(np.uint8)
    near = source + np.random.default_rng(1).integers(0, 2, (40, 6)).astype(np.uint8)
    expected = (near.argmax(axis=1) == source.argmax(axis=1)).mean()
    assert METRICS.load("agreement").score(near, source) == expected > 0.9


def test_only_a_channel_whose_death_counts_is_called_dead():
    source = 1 / (1 + np.exp(-4 * SOURCE))
    source[:, 2] = 1e-5 * np.arange(40)
    for column, words in ((2, []), (3, ["1 of 6 channels of axis 1 (3)"])):
        found = source.copy()
        found[:, column] = 0.0
        assert Spread.of(source).dead_in(Spread.of(found)) == words
    assert Spread.of(np.ones((9, 2))).dead_in(Spread.of(np.ones((9, 2)))) == []
