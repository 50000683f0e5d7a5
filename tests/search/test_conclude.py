"""Which candidates are confirmed, and which of them wins."""

from dataclasses import replace

import pytest

from hamerspace.constraints import Constraints
from hamerspace.outcome.interval import Interval
from hamerspace.outcome.measurement import Quality
from hamerspace.outcome.record import Evaluation, Record
from hamerspace.quantities import Objective
from hamerspace.recipe import Recipe
from hamerspace.search.conclude import confirm_front
from hamerspace.search.goal import Goal
from hamerspace.testing.simulation import SimulatedEvaluator

SOURCE = {"quality": 0.9, "latency": 1.0, "size": 4.0}
OBJECTIVES = (Objective.QUALITY, Objective.LATENCY, Objective.SIZE)
GOAL = Goal(OBJECTIVES, Constraints(max_accuracy_drop=1.0), SOURCE)


def measured(latency_ms, size_mb, drop, spread=0.1):
    """With an interval of latency that has no width where it is not told."""
    whole = SimulatedEvaluator(failing=0)(Recipe({"backend": "any"})).measurement
    same = Interval(latency_ms, latency_ms, latency_ms)
    latency = replace(whole.latency, ratio=same, latency_ms=same)
    interval = Interval(drop, drop - spread, drop + spread)
    quality = Quality(0.9 - drop / 100, 0.9, interval, 500, 500)
    return replace(whole, size_mb=size_mb, latency=latency, quality=quality)


class Bench:
    """Confirms each recipe with the figures that it is given."""

    def __init__(self, figures):
        self.figures = figures
        self.asked, self.timed = [], []
        self.errors = []

    def confirm(self, recipe, confidence):
        self.asked.append(recipe["number"])
        self.errors.append(1 - confidence)
        return measured(*self.figures[recipe["number"]])

    def time_afresh(self, recipe, pair):
        self.timed.append((recipe["number"], pair))
        return measured(*self.figures[recipe["number"]]).latency


@pytest.fixture
def conclude():
    """``conclude([(found in the search, found again, tool)])`` gives asked numbers and winner.

    Rows after ``repeated`` are the recipe of that row, met again.
    """

    def conclude(rows, repeated=None):
        records = {}
        for number, (found, _, tool) in enumerate(rows):
            first = number if repeated is None else min(number, repeated)
            recipe = Recipe({"backend": "any", "number": first})
            measurement = measured(*found)
            values = {
                "quality": measurement.quality.value,
                "latency": measurement.latency.latency_ms.estimate,
                "size": measurement.size_mb,
            }
            records[number] = Record(
                Evaluation(recipe, measurement), "sampled", {}, values, default_of=tool
            )
        bench = Bench({number: again for number, (_, again, _) in enumerate(rows)})
        found = confirm_front(bench, records, GOAL)
        assert [c.number for c in found.confirmed] == sorted(bench.asked)
        # An interval of latency and one of the drop each: all hold in 95 % of searches.
        assert 2 * sum(bench.errors) <= 0.05
        nearest = found.nearest and f"nearest {found.nearest.number}"
        return bench.asked, found.winner.number if found.winner else nearest

    return conclude


def test_only_the_front_and_the_best_default_are_confirmed(conclude):
    good, worse, worst = (0.2, 1.0, 0.1), (0.4, 2.0, 0.2), (0.6, 3.0, 0.3)
    rows = [(good, good, ""), (worse, worse, ""), (worst, worst, "A"), (worse, worse, "B")]
    asked, winner = conclude(rows)
    assert asked == [0, 3]
    assert winner == 0


def test_a_default_that_was_met_again_is_confirmed_once(conclude):
    good = (0.2, 1.0, 0.1)
    asked, winner = conclude([(good, good, "A"), (good, good, "A")], repeated=0)
    assert (asked, winner) == ([0], 0)


def test_what_is_shadowed_by_something_that_cannot_be_shown_gets_its_turn(conclude):
    """The fast one is within the limit only by luck; the next beats the slow one that keeps it."""
    rows = [
        ((0.2, 1.0, 0.9), (0.2, 1.0, 0.9, 0.8), ""),
        ((2.0, 0.9, 0.0), (2.0, 0.9, 0.0), ""),
        ((0.3, 1.1, 0.9), (0.3, 1.1, 0.5), ""),
        ((0.9, 3.9, 0.9), (0.9, 3.9, 0.1), ""),
    ]
    asked, winner = conclude(rows)
    assert winner == 2
    assert asked == [0, 1, 2]  # the last promises less than the winner has


def test_nothing_that_keeps_the_limit_leaves_the_best_that_is_not_shown(conclude):
    rows = [((0.2, 1.0, 0.9), (0.2, 1.0, 0.9, 0.8), ""), ((0.3, 1.1, 0.9), (0.3, 1.1, 3.0), "")]
    assert conclude(rows) == ([0, 1], 0)


def test_nothing_feasible_is_no_winner(conclude):
    assert conclude([]) == ([], None)


def test_what_is_worse_than_the_source_in_all_that_counts_is_no_winner(conclude):
    """A search once won with 3.8 times the latency and 1.3 times the size of its source."""
    rows = [((3.8, 5.2, 0.0), (3.8, 5.2, 0.0), ""), ((5.0, 5.3, 0.0), (5.0, 5.3, 0.0), "")]
    assert conclude(rows) == ([0], "nearest 0")


def test_what_is_not_expected_to_beat_the_source_is_not_confirmed_after_something_usable(conclude):
    rows = [((3.8, 5.2, 0.0), (9.0, 5.2, 0.0), ""), ((4.0, 5.3, 0.0), (4.0, 5.3, 0.0), "")]
    assert conclude(rows) == ([0], "nearest 0")
