import tracemalloc

import numpy as np
import pytest

from hamerspace.config.study import QualitySection
from hamerspace.errors import MetricError
from hamerspace.measure.quality import FIRST_LOOK, Answers, Judge, looks
from hamerspace.measure.sequential import constant_boundary, two_sided_confidence
from hamerspace.tasks.metrics import METRICS, Metric
from hamerspace.tasks.metrics.resolve import FunctionMetric, resolve_metric


def _metric(name, labels, shape, tmp_path):
    return resolve_metric(QualitySection(metric=name), labels, shape, tmp_path)


@pytest.fixture
def answers(tmp_path):
    """A judge by accuracy on 1,000 rows of 4 classes, and the logits of a perfect source."""
    labels = np.arange(1000) % 4
    source = np.eye(4, dtype=np.float32)[labels]
    return Judge(_metric("accuracy", labels, (None, 4), tmp_path), labels, source)


def test_the_source_model_loses_nothing_to_itself(answers):
    quality = answers.judge(np.array(answers.source_outputs))
    assert (quality.value, quality.source_value) == (1.0, 1.0)
    assert quality.drop.estimate == 0.0
    assert (quality.rows, quality.of_rows) == (1000, 1000)


def test_a_drop_is_in_points(answers):
    outputs = np.array(answers.source_outputs)
    outputs[:50] = np.roll(outputs[:50], 1, axis=1)
    quality = answers.judge(outputs)
    assert quality.value == 0.95
    assert quality.drop.estimate == pytest.approx(5.0)
    assert 3.0 < quality.drop.low < 5.0 < quality.drop.high < 7.0


def test_part_of_the_rows_is_judged_against_the_same_part_of_the_source(answers):
    quality = answers.judge(np.array(answers.source_outputs[:200]))
    assert (quality.rows, quality.of_rows, quality.source_value) == (200, 1000, 1.0)


def test_a_gain_is_a_negative_drop(tmp_path):
    labels = np.arange(400) % 4
    right = np.eye(4, dtype=np.float32)[labels]
    source = np.where(np.arange(400)[:, None] < 100, np.roll(right, 1, axis=1), right)
    quality = Judge(_metric("accuracy", labels, (None, 4), tmp_path), labels, source).judge(right)
    assert quality.drop.estimate == pytest.approx(-25.0)
    assert quality.drop.high < 0


def test_a_growing_error_is_a_drop_in_percent_of_the_source(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.normal(size=(500, 1)).astype(np.float32)
    source = labels + rng.choice([-1.0, 1.0], (500, 1)).astype(np.float32)
    judge = Judge(_metric("mae", labels, (None, 1), tmp_path), labels, source)
    worse = judge.judge(labels + 1.2 * (source - labels))
    assert worse.drop.estimate == pytest.approx(20.0, rel=0.01)
    assert worse.drop.low > 0


def test_without_labels_agreement_with_the_source_is_judged(tmp_path):
    rng = np.random.default_rng(1)
    source = rng.normal(size=(300, 4)).astype(np.float32)
    metric = resolve_metric(QualitySection(), None, (None, 4), tmp_path)
    judge = Judge(metric, None, source)
    assert judge.judge(np.array(source)).drop.estimate == 0.0
    assert judge.judge(np.roll(source, 1, axis=1)).drop.low > 10


def test_a_metric_of_the_whole_set_gets_a_bootstrap_interval(tmp_path):
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, 300)
    source = np.eye(3, dtype=np.float32)[labels]
    outputs = np.array(source)
    outputs[:60] = np.roll(outputs[:60], 1, axis=1)
    judge = Judge(_metric("f1_macro", labels, (None, 3), tmp_path), labels, source)
    quality = judge.judge(outputs)
    assert 10 < quality.drop.low < quality.drop.estimate < quality.drop.high < 30
    judge.judge(np.roll(outputs, 1, axis=0)[:200])
    assert judge.judge(outputs) == quality


@pytest.mark.parametrize(
    "name", ["roc_auc", "f1_macro", "mae", "rmse", "r2", "fidelity_r2", "cosine", None]
)
def test_a_model_that_answers_alike_may_still_lose_on_rows_not_met(name, tmp_path):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 1000)
    source = rng.normal(size=(1000, 2)).astype(np.float32) + np.eye(2, dtype=np.float32)[labels]
    if name in ("mae", "rmse", "r2"):
        labels = labels[:, None].astype(np.float32)
        source = source[:, 1:]
    known = None if name in (None, "fidelity_r2", "cosine") else labels
    metric = resolve_metric(QualitySection(metric=name), known, (None, 2), tmp_path)
    # No built model answers just as its source does.
    near = source + 1e-6 * rng.normal(size=source.shape).astype(np.float32)
    few, many = (
        Judge(metric, known if known is None else known[:n], source[:n]).judge(near[:n]).drop
        for n in (200, 1000)
    )
    assert few.estimate == pytest.approx(many.estimate, abs=0.01)
    assert few.low < many.low < 0 < many.high < few.high
    assert 0.2 < many.high < 4


@pytest.mark.parametrize("rows", [1, 50, 51, 150, 1000, 4096])
@pytest.mark.parametrize("batch", [1, 16, 64])
def test_looks_are_whole_batches_that_grow_to_all_rows(rows, batch):
    counts = looks(rows, batch)
    assert counts[-1] == rows
    assert list(counts) == sorted(set(counts))
    assert all(count % batch == 0 and count >= FIRST_LOOK for count in counts[:-1])
    assert rows < 300 or counts[0] < 200


def test_a_candidate_far_over_the_limit_is_rejected_at_the_first_look(answers):
    outputs = np.roll(answers.source_outputs, 1, axis=1)
    counts = looks(1000, 1, answers.first_look)
    confidence = two_sided_confidence(constant_boundary(counts[:-1])[0])
    assert answers.judge(outputs[: counts[0]], confidence, limit=1.0).drop.low > 50


def test_a_metric_that_is_no_mean_is_looked_at_later(tmp_path):
    labels = np.arange(300) % 3
    source = np.eye(3, dtype=np.float32)[labels]
    mean, whole = (
        Judge(_metric(name, labels, (None, 3), tmp_path), labels, source)
        for name in ("accuracy", "f1_macro")
    )
    assert mean.first_look < whole.first_look


def test_a_drop_within_the_limit_costs_no_bootstrap(tmp_path):
    labels = np.arange(300) % 3
    source = np.eye(3, dtype=np.float32)[labels]
    judge = Judge(_metric("f1_macro", labels, (None, 3), tmp_path), labels, source)
    within = judge.judge(source[:200], limit=1.0).drop
    assert (within.estimate, within.low, within.high) == (0.0, -np.inf, np.inf)
    outputs = np.where(np.arange(200)[:, None] < 40, np.roll(source[:200], 1, axis=1), source[:200])
    over = judge.judge(outputs, limit=1.0).drop
    assert 1.0 < over.low < over.estimate < over.high


def test_a_drop_on_some_rows_is_in_percent_of_the_source_on_all(tmp_path):
    labels = np.zeros((400, 1), dtype=np.float32)
    source = np.where(np.arange(400)[:, None] < 200, 1.0, 3.0).astype(np.float32)
    judge = Judge(_metric("mae", labels, (None, 1), tmp_path), labels, source)
    assert judge.judge(source[:200] + 0.2).drop.estimate == pytest.approx(10.0, rel=1e-3)


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro"])
def test_rows_that_belong_together_are_one_piece_of_evidence(metric, tmp_path):
    batch, batches = 50, 20
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, batch * batches)
    source = np.eye(2, dtype=np.float32)[labels]
    outputs = np.array(source)
    # A batch is lost as a whole or not at all, so 20 batches say what 20 rows would.
    outputs[: 4 * batch] = 1 - outputs[: 4 * batch]
    judge = _metric(metric, labels, (None, 2), tmp_path)
    alone = Judge(judge, labels, source).judge(outputs).drop
    together = Judge(judge, labels, source, rows_together=batch).judge(outputs).drop
    assert together.estimate == pytest.approx(alone.estimate)
    assert together.half_width > 4 * alone.half_width
    same = Judge(judge, labels, source, rows_together=batch).judge(source).drop
    assert same.estimate == 0.0


def test_the_worst_channel_decides_within_ends_that_hold_for_all():
    metric = METRICS.load("fidelity_r2")
    rng = np.random.default_rng(0)
    source = rng.standard_normal((2000, 6, 5)) * np.array([100, 100, 100, 100, 0.1, 0.1])[:, None]
    candidate = source.copy()
    candidate[:, 5] += 0.02 * rng.standard_normal((2000, 5))
    judge = Judge(metric, None, source)
    judge.check()
    found = judge.judge(candidate)
    assert found.source_value == 1.0
    assert found.drop.estimate == pytest.approx(4.0, rel=0.1)
    assert found.drop.estimate == pytest.approx(100 * (1 - found.value))
    assert 3 < found.drop.low < found.drop.estimate < found.drop.high < 6
    part = judge.judge(candidate[:100])
    assert part.drop.low < 4.0 < part.drop.high
    dead = source.copy()
    dead[:, 4:] = 0
    assert judge.judge(dead).drop.low > 50
    same = judge.judge(source.copy())
    assert same.drop.estimate == 0.0
    assert same.drop.high > 0


def test_dead_channels_are_told_even_where_the_metric_does_not_show_them():
    rng = np.random.default_rng(0)
    source = 100 * rng.standard_normal((200, 6, 5))
    source[:, 4:] *= 1e-3
    dead = source.copy()
    dead[:, 4:] = 0
    judge = Judge(METRICS.load("cosine"), None, source)
    found = judge.judge(dead)
    assert found.drop.estimate < 0.01
    assert "DEAD CHANNELS: 2 of 6 channels of axis 1 (4, 5)" in found.note
    assert judge.judge(source.copy()).note == ""


def test_answers_that_come_in_parts_are_judged_as_those_that_come_at_once():
    rng = np.random.default_rng(0)
    source = 100 * rng.standard_normal((200, 6, 5))
    dead = source + rng.standard_normal(source.shape)
    dead[:, 4] = 0
    judge = Judge(METRICS.load("fidelity_r2"), None, source)
    answers = Answers(judge)
    for start in range(0, 200, 30):
        answers.add(dead[start : start + 30])
        assert answers.judge(start + 10) == judge.judge(dead[: start + 10])
    assert "1 of 6 channels of axis 1 (4)" in answers.judge(200).note
    assert answers.judge(200) == judge.judge(dead)


def test_maps_larger_than_memory_are_judged_a_few_rows_at_a_time(tmp_path):
    rows, shape = 24, (20, 512, 512)
    path = tmp_path / "outputs.npy"
    source = np.lib.format.open_memmap(path, "w+", np.float32, (rows, *shape))
    source[:, 0, :256] = 1.0
    labels = np.zeros((rows, *shape[1:]), np.uint8)
    tracemalloc.start()
    judge = Judge(METRICS.load("accuracy"), labels, np.load(path, mmap_mode="r"))
    judge.check()
    answers = Answers(judge)
    for _ in range(rows):
        part = np.zeros((1, *shape), np.float32)
        part[:, 1, :64] = 1.0
        answers.add(part)
    quality = answers.judge(rows)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (quality.source_value, quality.value) == (1.0, 0.875)
    assert most < 5 * part.nbytes < source.nbytes / 4


def test_a_metric_of_all_outputs_gets_them_by_name():
    class Centre(Metric):
        """Mean distance of the centres of boxes that are given by two outputs."""

        name, direction, drop_unit, all_outputs = "centre", "minimize", "relative", True

        def rows(self, outputs, reference):
            return np.abs((outputs["low"] + outputs["high"]) / 2 - reference)

    low, width = np.random.default_rng(0).random((2, 500))
    source = {"low": low, "high": low + width}
    judge = Judge(Centre(), low + width / 2 + 0.1, source)
    judge.check()
    found = judge.judge({"low": low - 0.01, "high": low + width - 0.03})
    assert found.source_value == pytest.approx(0.1)
    assert found.drop.estimate == pytest.approx(20.0)


def test_a_metric_that_draws_is_refused():
    draws = iter([0.5, 0.6])
    metric = FunctionMetric("task:score", lambda *_: next(draws), "maximize")
    with pytest.raises(MetricError, match="must be deterministic"):
        Judge(metric, np.zeros(2), np.zeros(2)).check()


def test_an_error_of_zero_is_no_measure():
    labels = np.ones((40, 1))
    with pytest.raises(MetricError, match="'rmse' is 0 for the source model"):
        Judge(METRICS.load("rmse"), labels, labels).check()


def test_infinite_outputs_are_judged_by_their_order_alone(tmp_path):
    rng = np.random.default_rng(0)
    source = rng.standard_normal((40, 5)).astype(np.float32)
    source[:, 2] = -np.inf
    labels = source.argmax(axis=1)
    judge = Judge(_metric("accuracy", labels, (None, 5), tmp_path), labels, source)
    judge.check()
    assert judge.judge(source).drop.estimate == 0.0
    with pytest.raises(MetricError, match=r"infinite in places.*such as 'agreement' or 'accuracy'"):
        Judge(_metric("cosine", None, (None, 5), tmp_path), None, source).check()
