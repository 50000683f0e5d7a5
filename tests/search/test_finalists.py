"""The best are timed in several pairs of fresh processes before one of them is chosen."""

from dataclasses import replace

import numpy as np
import pytest

from hamerspace.constraints import Constraints
from hamerspace.errors import SessionError, SourceSessionError
from hamerspace.outcome.confirmed import Confirmed, verdicts_of
from hamerspace.outcome.interval import Interval
from hamerspace.outcome.measurement import Quality
from hamerspace.outcome.record import Evaluation, Record
from hamerspace.quantities import Objective
from hamerspace.recipe import Recipe
from hamerspace.search.finalists import time_finalists
from hamerspace.search.goal import Goal
from hamerspace.testing.simulation import SimulatedEvaluator

OBJECTIVES = (Objective.LATENCY, Objective.SIZE)
SOURCE = {"latency": 2.0, "size": 4.0}
WHOLE = SimulatedEvaluator(failing=0)(Recipe({"backend": "any"})).measurement


def latency(ratio, width=0.02):
    interval = Interval(ratio, ratio * (1 - width), ratio * (1 + width))
    return replace(
        WHOLE.latency,
        ratio=interval,
        latency_ms=interval.scaled(SOURCE["latency"]),
        throughput_per_s=500 / ratio,
    )


class Bench:
    """Times recipes at their ratio in each pair of processes; ``None`` crashes."""

    def __init__(self, pairs):
        self.pairs, self.timed = pairs, []

    def time_afresh(self, recipe, pair):
        self.timed.append((recipe["number"], pair))
        ratio = self.pairs[recipe["number"]][pair]
        if ratio == "source":
            raise SourceSessionError("block: took longer than 300 s")
        if ratio is None:
            raise SessionError("load: the process was killed by SIGKILL")
        return latency(ratio)


@pytest.fixture
def finish():
    """``finish(ratios at confirmation, ratios in pairs)`` gives bench, confirmed and the best."""

    def finish(first, pairs, limits=None):
        goal = Goal(OBJECTIVES, limits or Constraints(), SOURCE)
        records, confirmed = {}, []
        for number, ratio in enumerate(first):
            recipe = Recipe({"backend": "any", "number": number})
            quality = Quality(0.9, 0.9, Interval(0.0, -0.1, 0.1), 500, 500)
            measurement = replace(WHOLE, size_mb=4.0, latency=latency(ratio), quality=quality)
            records[number] = Record(Evaluation(recipe, measurement), "sampled", {}, {})
            verdicts = verdicts_of(measurement, goal.constraints)
            confirmed.append(Confirmed(number, recipe.id, measurement, verdicts))
        bench = Bench(pairs)
        found, best = time_finalists(bench, records, confirmed, goal, 0.02)
        return bench, {c.number: c for c in found}, best

    return finish


def test_a_winner_far_ahead_is_timed_in_five_pairs_and_the_rest_not_at_all(finish):
    bench, found, best = finish([0.5, 0.8], {0: (0.50, 0.53, 0.51, 0.49, 0.52)})
    assert bench.timed == [(0, pair) for pair in range(5)]
    assert best is found[0]
    timed = best.measurement.latency
    assert timed.processes == 5
    assert timed.ratio.estimate == pytest.approx(0.51, abs=0.001)
    assert timed.ratio.half_width > 0.02  # the spread between processes, not that of one
    assert timed.latency_ms.estimate == pytest.approx(2 * timed.ratio.estimate)
    assert found[1].measurement.latency.processes == 1


def test_those_within_the_interval_of_the_best_are_timed_too_and_one_of_them_may_win(finish):
    pairs = {0: (0.55,) * 5, 1: (0.52,) * 5}
    bench, found, best = finish([0.50, 0.51, 0.9], pairs)
    assert {number for number, _ in bench.timed} == {0, 1}
    assert best is found[1]


def test_a_best_that_falls_behind_leaves_the_next_to_be_timed(finish):
    bench, found, best = finish([0.5, 0.6], {0: (0.7,) * 5, 1: (0.6,) * 5})
    assert [number for number, _ in bench.timed] == [0] * 5 + [1] * 5
    assert best is found[1]


def test_a_candidate_that_fails_in_a_fresh_process_does_not_win(finish):
    _, found, best = finish([0.5, 0.6], {0: (0.5, None), 1: (0.6,) * 5})
    assert best is found[1]
    assert found[0].rank == 2
    assert "killed" in found[0].measurement.reason


def test_a_limit_is_judged_by_several_processes(finish):
    limits = Constraints(max_latency_ms=1.03)
    _, found, best = finish([0.5], {0: (0.49, 0.53, 0.5, 0.48, 0.52)}, limits)
    assert best is found[0]
    assert found[0].verdicts["max_latency_ms"] == "not shown"


def test_nothing_is_timed_that_cannot_beat_the_source(finish):
    bench, _, best = finish([3.0, 4.0], {})
    assert bench.timed == []
    assert best.number == 0


@pytest.mark.parametrize("whole", [True, False])
def test_a_source_that_fails_says_nothing_of_the_candidates(finish, caplog, whole):
    pairs = ("source",) if whole else (0.5, 0.5, "source")
    _, found, best = finish([0.5, 0.9], {0: pairs})
    assert best is found[0]
    assert not best.measurement.failed
    assert best.measurement.latency.processes == 1
    assert "the source model failed beside it: block: took longer" in caplog.text


def test_the_latencies_of_all_that_are_timed_hold_together(finish):
    """Four models, one of which differs five times as much between processes, then others."""
    rng, truth, missed = np.random.default_rng(0), (0.5, 0.5, 0.5, 0.5), 0
    for _ in range(250):
        spread = np.array([0.02, 0.02, 0.02, 0.1])[:, None]
        pairs = dict(enumerate(0.5 * np.exp(spread * rng.normal(size=(4, 5)))))
        bench, found, _ = finish(truth, pairs)
        assert len(bench.timed) == 20
        ratios = [found[n].measurement.latency.ratio for n in range(4)]
        missed += not all(r.low <= 0.5 <= r.high for r in ratios)
    assert missed <= 0.02 * 250 + 5
