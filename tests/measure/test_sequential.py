"""The error rates of ending a candidate early, by simulation."""

import numpy as np
import pytest
from scipy import stats

from hamerspace.measure.quality import Judge, looks
from hamerspace.measure.sequential import (
    LEVEL,
    constant_boundary,
    crossing_probability,
    two_sided_confidence,
)
from hamerspace.tasks.metrics.base import Metric, OfAllRows

LOOKS = (50, 71, 100, 142, 200, 283, 400)


@pytest.mark.parametrize("rows", [(50, 100, 200, 400), LOOKS, (64, 100, 101)])
def test_the_chance_of_crossing_is_that_of_the_correlated_normal(rows):
    n = np.array(rows, dtype=float)
    correlation = np.sqrt(np.minimum.outer(n, n) / np.maximum.outer(n, n))
    bounds = np.linspace(2.6, 2.1, len(rows))
    wanted = 1 - stats.multivariate_normal(cov=correlation, seed=0).cdf(bounds)
    assert crossing_probability(rows, bounds) == pytest.approx(wanted, abs=1e-4)


def test_equally_spaced_looks_have_the_bound_of_the_tables():
    # Jennison and Turnbull 2000, table 2.1: two-sided 5 %, K = 5; the other side is never reached.
    assert constant_boundary((1, 2, 3, 4, 5))[0] == pytest.approx(2.413, abs=2e-3)


def test_the_looks_together_spend_the_level_and_less_than_bonferroni_would_ask():
    bounds = constant_boundary(LOOKS)
    assert crossing_probability(LOOKS, bounds) == pytest.approx(LEVEL, abs=1e-6)
    single, bonferroni = stats.norm.isf([LEVEL, LEVEL / len(LOOKS)])
    assert single < bounds[0] < bonferroni - 0.1
    assert two_sided_confidence(single) == pytest.approx(0.95)


def test_one_look_is_a_plain_test_and_none_needs_no_bound():
    assert constant_boundary((200,)) == pytest.approx((stats.norm.isf(LEVEL),))
    assert constant_boundary(()) == ()


def _ends(draw, limit, repeats):
    """Rows after which candidates are ended, each of a new draw; infinite where no look does it."""
    found = np.full(repeats, np.inf)
    rng = np.random.default_rng(0)
    for repeat in range(repeats):
        judge, outputs = draw(rng)
        early = looks(len(outputs), judge.rows_together, judge.first_look)[:-1]
        confidence = two_sided_confidence(constant_boundary(early)[0])
        for count in early:
            if judge.judge(outputs[:count], confidence, limit).drop.low > limit:
                found[repeat] = count
                break
    return found


def _accepted(repeats):
    """The level and three standard errors of the simulation."""
    return LEVEL + 3 * np.sqrt(LEVEL / repeats)


class _Right(Metric):
    """Accuracy without scikit-learn, which takes most of a simulation's time."""

    name, direction, drop_unit = "right", "maximize", "points"

    def rows(self, outputs, reference):
        return (outputs == reference).astype(np.float64)


class _Distance(_Right):
    name, direction, drop_unit = "error", "minimize", "relative"

    def rows(self, outputs, reference):
        return np.abs(outputs - reference)


def _answers(rows, accuracy, drop, won, batch=1):
    """Draws a source that is right so often and a candidate that loses ``drop`` of all rows.

    Args:
        rows: Of the split.
        accuracy: Of the source.
        drop: Share of rows that the candidate loses, less those it wins.
        won: Share of rows that only the candidate gets right.
        batch: Rows that are lost or won together.
    """

    def draw(rng):
        groups = -(-rows // batch)
        fate = np.repeat(rng.uniform(size=groups), batch)[:rows]
        both = np.repeat(rng.uniform(size=groups), batch)[:rows]
        lost, gained = fate < drop + won, (fate >= drop + won) & (fate < drop + 2 * won)
        source = np.where(lost | gained, lost, both < accuracy)
        candidate = np.where(lost | gained, gained, source)
        return Judge(_Right(), np.ones(rows, dtype=bool), source, batch), candidate

    return draw


@pytest.mark.parametrize(
    ("rows", "limit", "accuracy", "won"),
    [
        (1000, 1.0, 1.0, 0.0),
        (1000, 1.0, 0.9, 0.005),
        (1000, 1.0, 0.6, 0.15),
        (1000, 0.2, 0.9, 0.02),
        (300, 3.0, 0.9, 0.02),
    ],
)
def test_accuracy_at_its_limit_is_rarely_ended(rows, limit, accuracy, won):
    ended = _ends(_answers(rows, accuracy, limit / 100, won), limit, 200)
    assert np.isfinite(ended).mean() <= _accepted(200)


def test_the_level_is_used_where_rows_often_differ():
    """Not only kept: a test that never rejects would keep it too."""
    ended = _ends(_answers(1000, 0.6, 0.03, 0.2), 3.0, 600)
    assert 0.01 < np.isfinite(ended).mean() <= _accepted(600)


@pytest.mark.parametrize(("limit", "won"), [(1.0, 0.0), (3.0, 0.02)])
def test_a_hopeless_candidate_is_ended_early(limit, won):
    far = _ends(_answers(2000, 0.9, 20 * limit / 100, won), limit, 60)
    assert (far <= 100).mean() >= 0.95
    over = _ends(_answers(2000, 0.9, 5 * limit / 100, won), limit, 60)
    assert (over <= 1000).mean() >= 0.95
    assert np.median(over) <= 400


@pytest.mark.parametrize("won", [0.0, 0.02, 0.1])
def test_whole_batches_at_the_limit_are_rarely_ended(won):
    repeats = 150
    ended = _ends(_answers(2048, 0.9, 0.02, won, batch=32), 2.0, repeats)
    assert np.isfinite(ended).mean() <= _accepted(repeats)


def test_whole_batches_far_over_the_limit_are_ended():
    ended = _ends(_answers(2048, 1.0, 0.4, 0.0, batch=32), 2.0, 50)
    assert np.isfinite(ended).mean() >= 0.95


class _LogLoss(_Distance):
    """Of logits of the right class, so that rare rows with large losses carry the mean."""

    def rows(self, outputs, reference):
        return np.log1p(np.exp(-outputs))


def _losses(rows, spread):
    """Draws logits, and those of a student of ``spread`` times their size: it loses a little on
    most rows and wins much on the few that the source has wrong."""

    def draw(rng):
        logits = rng.normal(3.0, 2.0, rows)
        return Judge(_LogLoss(), np.zeros(rows), logits), spread * logits

    return draw


def _errors(rows, noise):
    """Draws a regression with errors of 1, and a candidate that adds noise."""

    def draw(rng):
        source = rng.normal(size=rows)
        return Judge(_Distance(), np.zeros(rows), source), source + noise * rng.normal(size=rows)

    return draw


def _true_drop(draw):
    judge, outputs = draw(np.random.default_rng(99))
    return judge.judge(outputs, limit=np.inf).drop.estimate


@pytest.mark.parametrize("spread", [0.8, 0.5])
def test_a_loss_that_rare_rows_carry_is_rarely_ended_at_its_limit(spread):
    limit = _true_drop(_losses(400_000, spread))
    ended = _ends(_losses(1000, spread), limit, 200)
    assert np.isfinite(ended).mean() <= _accepted(200)


@pytest.mark.parametrize("noise", [0.3, 0.6])
def test_an_error_at_its_limit_is_rarely_ended_and_one_far_over_it_is(noise):
    limit = _true_drop(_errors(400_000, noise))
    assert np.isfinite(_ends(_errors(1000, noise), limit, 200)).mean() <= _accepted(200)
    assert (_ends(_errors(1000, 1.5), limit, 50) <= 200).mean() >= 0.95


class _Area(OfAllRows):
    """The area under the ROC curve, from ranks."""

    name, direction, drop_unit = "area", "maximize", "points"

    def of_all(self, outputs, labels):
        ranks = np.empty(len(outputs))
        ranks[np.argsort(outputs)] = np.arange(1, len(outputs) + 1)
        ones = labels.sum()
        return (ranks[labels].mean() - (ones + 1) / 2) / (len(outputs) - ones)


def _ranks(rows, noise):
    """Draws scores of two classes, and those of a candidate that adds noise."""

    def draw(rng):
        labels = rng.uniform(size=rows) < 0.3
        source = labels + 0.7 * rng.normal(size=rows)
        return Judge(_Area(), labels, source), source + noise * rng.normal(size=rows)

    return draw


def test_a_metric_of_the_whole_set_is_rarely_ended_at_its_limit():
    limit = _true_drop(_ranks(100_000, 0.3))
    ended = _ends(_ranks(500, 0.3), limit, 60)
    assert np.isfinite(ended).mean() <= _accepted(60)
