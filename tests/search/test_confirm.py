from dataclasses import replace

import pytest

from hamerspace.constraints import Constraints
from hamerspace.outcome.confirmed import Confirmed, verdicts_of
from hamerspace.outcome.interval import Interval
from hamerspace.outcome.measurement import Gate, Measurement, Quality
from hamerspace.quantities import Objective
from hamerspace.recipe import Recipe
from hamerspace.search.confirm import beats_source, choose, cost
from hamerspace.search.goal import Goal
from hamerspace.testing.simulation import SimulatedEvaluator

LIMITS = Constraints(max_size_mb=2.0, max_latency_ms=1.0, max_accuracy_drop=1.0)
OBJECTIVES = (Objective.QUALITY, Objective.LATENCY, Objective.SIZE)
SOURCE = {"quality": 0.9, "latency": 2.0, "size": 4.0, "throughput": 500.0}
GOAL = Goal(OBJECTIVES, LIMITS, SOURCE)


def _measured(size_mb=1.0, latency=(0.4, 0.5, 0.6), drop=(0.1, 0.3, 0.5)):
    whole = SimulatedEvaluator(failing=0)(Recipe({"backend": "any"})).measurement
    low, estimate, high = latency
    latency_ms = Interval(estimate, low, high)
    ratio = latency_ms.scaled(1 / SOURCE["latency"])
    found_latency = replace(whole.latency, latency_ms=latency_ms, ratio=ratio)
    quality = Quality(0.9 - drop[1] / 100, 0.9, Interval(drop[1], drop[0], drop[2]), 500, 500)
    return replace(whole, size_mb=size_mb, latency=found_latency, quality=quality)


def _confirmed(number, **figures):
    measurement = _measured(**figures)
    verdicts = verdicts_of(measurement, LIMITS)
    return Confirmed(number, f"id{number}", measurement, verdicts)


def test_the_winner_keeps_every_limit_even_where_another_is_better():
    kept = _confirmed(0, size_mb=1.9)
    unsure = _confirmed(1, size_mb=0.1, drop=(0.2, 0.9, 1.6))
    missed = _confirmed(2, size_mb=0.1, drop=(1.5, 2.0, 2.5))
    assert choose([unsure, missed, kept], GOAL) is kept
    assert choose([unsure, missed], GOAL) is unsure
    assert choose([missed], GOAL) is None
    assert choose([], GOAL) is None


def test_the_best_of_those_that_keep_the_limits_wins():
    large, small = _confirmed(0, size_mb=1.8), _confirmed(1, size_mb=0.9)
    assert choose([large, small], GOAL) is small


@pytest.mark.parametrize(
    ("figures", "better"),
    [
        ({}, False),  # an untouched conversion that gains nothing
        ({"latency": (1.4, 1.5, 1.6)}, True),  # one that is faster
        ({"latency": (1.5, 1.8, 2.1)}, False),  # one that may only seem to be
        ({"latency": (1.93, 1.94, 1.95)}, False),  # nobody would miss three per cent
        ({"size_mb": 1.0}, True),
        ({"size_mb": 3.9}, False),
        ({"size_mb": 1.0, "latency": (7.9, 8.0, 8.1)}, True),
        ({"size_mb": 1.0, "latency": (9.9, 10.0, 10.1)}, False),  # costs more than it gains
        ({"size_mb": 3.0, "drop": (0.7, 0.8, 0.9)}, False),
        ({"drop": (-2.0, -1.0, -0.1)}, True),
        ({"drop": (-2.0, -1.0, 0.1)}, False),
    ],
)
def test_a_winner_is_better_than_its_source_beyond_noise(figures, better):
    like_the_source = {"latency": (1.9, 2.0, 2.1), "size_mb": 4.0, "drop": (-0.2, 0.0, 0.2)}
    measurement = _measured(**{**like_the_source, **figures})
    limits = Constraints(max_accuracy_drop=1.0)
    assert beats_source(measurement, Goal(OBJECTIVES, limits, SOURCE)) is better


def test_where_the_source_misses_a_limit_a_slower_candidate_is_worth_it():
    slower = _measured(latency=(9.0, 9.1, 9.2), size_mb=1.9)
    for limit, better in ((2.0, True), (5.0, False)):
        limits = Constraints(max_size_mb=limit)
        assert beats_source(slower, Goal(OBJECTIVES, limits, SOURCE)) is better


def test_what_failed_in_the_confirmation_never_wins():
    failed = Confirmed(0, "id", Measurement(Gate.LOAD, "crashed", failed=True), {})
    assert failed.rank == 2
    assert choose([failed], Goal(OBJECTIVES, Constraints(), SOURCE)) is None


def test_halving_latency_costs_as_little_as_halving_size():
    figures = {"latency": (2.0, 2.0, 2.0), "size_mb": 4.0, "drop": (0, 0, 0)}
    source = cost(_measured(**figures), GOAL)
    faster = cost(_measured(**{**figures, "latency": (1, 1, 1)}), GOAL)
    smaller = cost(_measured(**{**figures, "size_mb": 2.0}), GOAL)
    lossy = cost(_measured(**{**figures, "drop": (1, 1, 1)}), GOAL)
    assert source == 0.0
    assert faster == smaller == -1.0
    assert lossy == 1.0


def test_more_throughput_costs_less():
    whole = _measured()
    half = replace(whole.latency, ratio=Interval(0.5, 0.5, 0.5), throughput_per_s=1000.0)
    twice = replace(whole, latency=half)
    assert cost(twice, Goal((Objective.THROUGHPUT,), LIMITS, SOURCE)) == -1.0
