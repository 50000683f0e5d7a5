import math

import numpy as np
import pytest
from scipy import stats

from hamerspace.measure.statistics import (
    bootstrap_interval,
    paired_difference,
    process_interval,
    ratio_interval,
)
from hamerspace.outcome.interval import Interval


def _student_half_width(values, confidence=0.95):
    quantile = stats.t.ppf((1 + confidence) / 2, len(values) - 1)
    return quantile * stats.sem(values)


def _coverage(intervals, truth):
    return np.mean([i.low <= truth <= i.high for i in intervals])


def test_a_ratio_covers_the_truth_under_drift_that_both_share():
    rng = np.random.default_rng(1)
    found = []
    for _ in range(1000):
        drift = np.exp(np.cumsum(rng.normal(0, 0.2, 15)))
        ours = 0.5 * drift * np.exp(rng.normal(0, 0.05, 15))
        theirs = drift * np.exp(rng.normal(0, 0.05, 15))
        found.append(ratio_interval(ours, theirs))
    assert 0.92 < _coverage(found, 0.5) < 0.98
    assert np.median([i.half_width for i in found]) < 0.03


def test_a_burst_in_a_few_blocks_does_not_decide_a_ratio():
    rng = np.random.default_rng(2)
    ours, theirs = np.exp(rng.normal(0, 0.02, (2, 20)))
    ours[:3] *= 8
    found = ratio_interval(ours, theirs)
    assert found.estimate == pytest.approx(1.0, abs=0.05)
    assert found.high < 1.2


def test_a_ratio_is_symmetrical_in_which_side_is_the_reference():
    rng = np.random.default_rng(3)
    ours, theirs = rng.uniform(1, 2, (2, 11))
    one, other = ratio_interval(ours, theirs), ratio_interval(theirs, ours)
    assert one.estimate == pytest.approx(1 / other.estimate)
    assert (one.low, one.high) == pytest.approx((1 / other.high, 1 / other.low))


@pytest.mark.parametrize("count", [2, 3, 7])
def test_pairs_that_tell_nothing_together_have_an_interval_without_an_end(count):
    """As two blocks of a slow model may, of which a stranger halted one."""
    numerators = np.geomspace(1e-3, 1e6, count)
    found = ratio_interval(numerators, np.ones(count), 0.9999)
    assert 0 <= found.low < found.estimate < found.high
    assert count > 2 or found.high == math.inf


def test_a_single_pair_gives_a_ratio_that_shows_nothing():
    found = ratio_interval([2.0], [1.0])
    assert (found.low, found.high) == (0.0, math.inf)
    assert found.estimate == pytest.approx(2.0)


@pytest.mark.parametrize(("lost", "won"), [(0.05, 0.03), (0.01, 0.0), (0.2, 0.2)])
def test_a_difference_of_accuracies_is_covered(lost, won):
    rng = np.random.default_rng(4)
    found = []
    for _ in range(800):
        draw = rng.uniform(size=300)
        source = np.where(draw < lost, 1.0, np.where(draw < lost + won, 0.0, 1.0))
        candidate = np.where(draw < lost, 0.0, 1.0)
        found.append(paired_difference(source - candidate, 1.0))
    assert _coverage(found, lost - won) > 0.93


def test_models_that_agree_on_every_row_still_leave_room_for_a_drop():
    few, many = (paired_difference(np.zeros(n), 1.0) for n in (100, 10_000))
    assert few.estimate == 0.0
    assert few.low < 0 < few.high
    assert many.high < few.high / 10


def test_rows_that_were_not_met_matter_little_beside_the_spread_of_those_that_were():
    differences = np.random.default_rng(5).normal(1, 1, 500)
    found, plain = paired_difference(differences, 0.5), _student_half_width(differences)
    assert plain < found.half_width < 1.002 * plain


@pytest.mark.parametrize("differing", [0, 1, 150, 300])
@pytest.mark.parametrize("rounding", [0.0, 1e-6])
def test_a_difference_always_leaves_room_for_rows_that_were_not_met(differing, rounding):
    differences = np.where(np.arange(300) < differing, 0.01, 0.0)
    differences += rounding * np.random.default_rng(0).normal(size=300)
    found = paired_difference(differences, 0.4)
    assert found.low < found.estimate < found.high
    assert found.half_width > 0.4 / 300
    assert paired_difference(differences[:1], 0.4).low == -math.inf


@pytest.mark.parametrize(("rows", "share", "loss"), [(160, 0.015, 1.0), (1000, 0.002, 2.0)])
def test_rare_rows_that_are_lost_among_rounding_are_allowed_for(rows, share, loss):
    rng, missed = np.random.default_rng(11), 0
    for _ in range(500):
        differences = 1e-9 * rng.normal(size=rows) + loss * (rng.uniform(size=rows) < share)
        missed += paired_difference(differences, 2.0).high < share * loss
    assert missed < 0.03 * 500


def test_what_zeros_and_ones_leave_open_is_what_the_exact_bounds_do():
    for lost, exact in ((0, 5.12), (1, 7.22), (5, 13.88)):  # Poisson's, at 0.6 % each side
        found = paired_difference(np.arange(10_000) < lost, 1.0, 0.988)
        assert 0.95 * exact < 10_000 * found.high < 1.25 * exact


def test_resamples_in_which_hardly_any_row_differs_leave_room_for_a_drop():
    same = bootstrap_interval(lambda _i, _n: 0.0, 200, stray=0.05)
    assert same.low == pytest.approx(-0.05 * 1.972, rel=1e-3)
    assert same.high == pytest.approx(0.05 * 1.972**2, rel=1e-3)
    one = bootstrap_interval(lambda i, _: float(np.mean(i == 0)), 200, stray=0.05)
    assert one.half_width > same.half_width
    rounded = bootstrap_interval(lambda i, _: 1e-9 * float(np.mean(i)), 200, stray=0.05)
    assert rounded.half_width == pytest.approx(same.half_width, rel=1e-3)


def test_a_bootstrap_of_few_groups_is_wide_and_of_one_shows_nothing():
    values = np.repeat([0.0, 1.0, 2.0], 20)
    few = bootstrap_interval(lambda i, _: float(values[i].mean()), 60, together=20)
    wanted = _student_half_width([0.0, 1.0, 2.0])
    assert few.half_width == pytest.approx(wanted, rel=0.15)
    one = bootstrap_interval(lambda i, _: float(values[i].mean()), 60, together=60)
    assert (one.low, one.high) == (-math.inf, math.inf)


def test_a_bootstrap_interval_covers_a_statistic_of_rows():
    rng, found = np.random.default_rng(7), []
    for repeat in range(200):
        values = rng.exponential(2.0, 150)
        found.append(
            bootstrap_interval(lambda i, _, v=values: float(v[i].mean()), 150, seed=repeat)
        )
    assert _coverage(found, 2.0) > 0.88


def test_a_bootstrap_is_the_same_every_time():
    values = np.random.default_rng(8).normal(size=40)
    one, two = (bootstrap_interval(lambda i, _: float(np.median(values[i])), 40) for _ in range(2))
    assert one == two
    assert one.low <= one.high


def test_more_confidence_is_a_wider_interval():
    values = np.random.default_rng(9).normal(size=30)
    wide, narrow = (paired_difference(values, 0.5, confidence) for confidence in (0.99, 0.9))
    assert wide.half_width > narrow.half_width


def test_an_interval_scales():
    interval = Interval(2.0, 1.0, 3.5).scaled(10)
    assert interval == Interval(20.0, 10.0, 35.0)
    assert interval.half_width == 12.5


def test_the_interval_over_processes_holds_for_each_model_whatever_its_spread():
    """The blocks within a process agree within 0.5 %."""
    rng = np.random.default_rng(12)
    for spread in (0.02, 0.1):
        values = 0.5 * np.exp(rng.normal(0, spread, (1500, 5)))
        found = [process_interval([Interval(v, v * 0.995, v * 1.005) for v in r]) for r in values]
        assert 0.935 < _coverage(found, 0.5) < 0.965


def test_the_interval_over_processes_is_no_narrower_than_that_within_them():
    found = process_interval([Interval(1.0, 0.9, 1.1)] * 5)
    assert found.half_width > 0.1 / math.sqrt(5)
    assert process_interval([Interval(1.0, 0.9, 1.1)]).high == math.inf
    assert process_interval([Interval(1.0, 0.0, math.inf)] * 5).high == math.inf
