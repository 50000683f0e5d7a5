from dataclasses import replace

import pytest

from hamerspace.constraints import Constraints
from hamerspace.outcome.interval import Interval
from hamerspace.outcome.record import Evaluation, Record, judge
from hamerspace.quantities import Objective
from hamerspace.search.goal import Goal
from hamerspace.search.surrogate.mixed_precision import MixedPrecision
from hamerspace.testing.simulation import NothingBuilt, SimulatedEvaluator
from tests.search.conftest import FIGURES

COUNT = "onnxruntime.float_layers"


@pytest.fixture
def space(assemble):
    return assemble(
        {
            "backend": ["onnxruntime"],
            "onnxruntime.quantization": ["none", "static_int8"],
            COUNT: [0, 1, 2, 4, 8],
        }
    )


@pytest.fixture
def goal():
    limits = Constraints(max_accuracy_drop=1.0)
    return Goal((Objective.QUALITY, Objective.LATENCY, Objective.SIZE), limits, FIGURES)


@pytest.fixture
def tried(goal):
    """``tried(recipe, ratio, drop)`` is a trial of this latency and size over the source's."""

    def tried(recipe, ratio, drop, origin="default"):
        found = SimulatedEvaluator(failing=0)(recipe).measurement
        latency = replace(found.latency, ratio=Interval(ratio, ratio, ratio))
        quality = replace(found.quality, drop=Interval(drop, drop, drop))
        found = replace(found, size_mb=4.0 * ratio, latency=latency, quality=quality)
        evaluation = Evaluation(recipe, found)
        return Record(
            evaluation, origin, *judge(evaluation, goal.constraints, goal.objectives, goal.source)
        )

    return tried


@pytest.mark.parametrize("least", [1, 2, 4, 8, 16])
def test_the_least_count_that_keeps_the_limit_is_found(space, goal, tried, least):
    fast = space.complete({"onnxruntime.quantization": "static_int8"})
    records, counts = {0: tried(fast, 0.2, 40.0)}, []
    mixed = MixedPrecision(space, goal, NothingBuilt())
    while (recipe := mixed.propose(records)) is not None:
        counts.append(recipe.get(COUNT))
        drop = 0.5 if counts[-1] >= least else 30.0
        records[len(records)] = tried(recipe, 0.2 + 0.05 * counts[-1], drop, "sampled")
    assert len(counts) <= 3
    assert (least in counts) == (least <= 8)
    assert least - 1 not in counts or least == 2
    assert set(counts) < {1, 2, 4, 8}


@pytest.mark.parametrize(
    ("ratio", "drop", "origin", "best"),
    [
        (0.2, 0.5, "default", 1.0),
        (1.2, 40.0, "default", 1.0),
        (0.2, 40.0, "sampled", 1.0),
        (0.5, 40.0, "default", 0.4),
    ],
    ids=["loses little", "is slower than the source", "is no first trial", "a better one is kept"],
)
def test_a_scheme_that_promises_nothing_is_left(space, goal, tried, ratio, drop, origin, best):
    one, other = (space.complete({"onnxruntime.quantization": v}) for v in ("static_int8", "none"))
    records = {0: tried(one, ratio, drop, origin), 1: tried(other, best, 0.0)}
    assert MixedPrecision(space, goal, NothingBuilt()).propose(records) is None


def test_counts_that_are_known_to_fail_are_left_out(space, goal, tried):
    class Stages(NothingBuilt):
        def known_to_fail(self, recipe):
            return recipe.get(COUNT) > 1

    fast = space.complete({"onnxruntime.quantization": "static_int8"})
    mixed = MixedPrecision(space, goal, Stages())
    assert mixed.propose({0: tried(fast, 0.2, 40.0)}).get(COUNT) == 1


def test_without_a_limit_nothing_loses_too_much(space, goal, tried):
    fast = space.complete({"onnxruntime.quantization": "static_int8"})
    free = replace(goal, constraints=Constraints())
    record = replace(tried(fast, 0.2, 40.0), violations={})
    assert MixedPrecision(space, free, NothingBuilt()).propose({0: record}) is None
