"""What is told of the judging before any trial."""

import numpy as np
import pytest

from hamerspace.measure.quality import Judge
from hamerspace.search.caution import chance_warnings, smallest_of_hits, too_few_rows
from hamerspace.search.conclude import BEST_CONFIDENCE
from hamerspace.tasks.metrics import METRICS

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 10, 400)
RARE = (np.arange(400) < 12).astype(int)
NUMBERS = RNG.standard_normal(400)
NOISE = RNG.standard_normal((400, 10))


def warnings_of(name, outputs, labels):
    metric = METRICS.load(name)
    return chance_warnings(metric, metric.value(outputs, labels), labels)


@pytest.mark.parametrize(
    ("name", "outputs", "labels"),
    [
        ("accuracy", NOISE, CLASSES),
        ("accuracy", np.eye(2)[np.zeros(400, int)], RARE),
        ("roc_auc", NOISE[:, 0], RARE),
        ("average_precision", NOISE, CLASSES[:, None] <= np.arange(10)),
        ("r2", NUMBERS.mean() + 0 * NUMBERS, NUMBERS),
        ("rmse", NOISE[:, 0] * 9, NUMBERS),
        ("mae", NOISE[:, 0] * 9, NUMBERS),
    ],
)
def test_a_source_no_better_than_chance_is_told(name, outputs, labels):
    (text,) = warnings_of(name, outputs, labels)
    assert text.startswith(f"THE SOURCE MODEL IS NO BETTER THAN CHANCE: its {name} is ")


@pytest.mark.parametrize(
    ("name", "outputs", "labels"),
    [
        ("accuracy", NOISE + 2 * np.eye(10)[CLASSES], CLASSES),
        ("roc_auc", NOISE[:, 0] + RARE, RARE),
        ("r2", 0.7 * NUMBERS, NUMBERS),
        ("rmse", NUMBERS + 0.5 * NOISE[:, 0], NUMBERS),
    ],
)
def test_a_better_one_is_left_in_peace(name, outputs, labels):
    assert warnings_of(name, outputs, labels) == []


def test_what_the_rows_can_show_is_what_a_candidate_equal_to_the_source_is_given():
    labels = CLASSES[:185]
    outputs = np.eye(10)[(labels + (np.arange(185) % 20 == 0)) % 10]
    metric = METRICS.load("accuracy")
    judge = Judge(metric, labels, outputs)
    shown = judge.judge(outputs, BEST_CONFIDENCE).drop.high
    assert shown == pytest.approx(smallest_of_hits(metric, 185))
    assert 1.0 < shown < 1.5
    assert smallest_of_hits(METRICS.load("rmse"), 185) is None
    text = too_few_rows(185, 1.0, shown)
    assert "on 185 rows to confirm on, no candidate can be shown to lose at most 1 points" in text
    needed = int(text.partition("Give about ")[2].split()[0])
    assert smallest_of_hits(metric, needed) < 1.0 < smallest_of_hits(metric, needed - 10)
