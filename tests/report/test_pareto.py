import itertools
import random

import pytest

from hamerspace.quantities import Metric
from hamerspace.report.pareto import (
    hypervolume,
    hypervolume_progress,
    losses,
    pareto_front,
    staircase,
)
from hamerspace.report.run_data import RunData, SourceRecord
from tests.report.example_run import finished

SOURCE = SourceRecord(
    "m", {"latency_ms": 2.0, "size_mb": 4.0, "memory_mb": 10.0, "throughput_per_s": 500.0}
)


def trial(number, drop, latency_ms, size_mb=1.0, feasible=True, recipe_id=None, **values):
    return finished(
        number,
        "onnxruntime",
        {"backend": "onnxruntime", "id": recipe_id or f"r{number}"},
        feasible=feasible,
        values={"drop_points": drop, "latency_ms": latency_ms, "size_mb": size_mb, **values},
    )


def run_of(*trials, objectives=("quality", "latency"), limits=None, source=SOURCE):
    return RunData(
        "r", source, Metric("accuracy"), trials, objectives=objectives, constraints=limits or {}
    )


def inclusion_exclusion(points):
    """The volume by its definition: the union of boxes."""
    total = 0.0
    for count in range(1, len(points) + 1):
        for some in itertools.combinations(points, count):
            corner = [max(values) for values in zip(*some, strict=True)]
            volume = 1.0
            for value in corner:
                volume *= 1 - value
            total += volume if count % 2 else -volume
    return total


def test_losses_are_ratios_to_the_source_and_less_is_better():
    run = run_of(objectives=("quality", "latency", "size", "memory", "throughput"))
    values = {
        "drop_points": -0.3,
        "latency_ms": 0.5,
        "size_mb": 1.0,
        "memory_mb": 20.0,
        "throughput_per_s": 2000.0,
    }
    assert losses(run, values) == pytest.approx((-0.3, 0.25, 0.25, 2.0, 0.25))
    assert losses(run, {**values, "latency_ratio": 0.2})[1] == 0.2
    assert losses(run, {**values, "memory_mb": None}) is None


def test_the_front_holds_feasible_trials_that_none_dominates():
    run = run_of(
        trial(0, 0.0, 1.0),
        trial(1, 0.5, 0.5),
        trial(2, 0.6, 0.6),
        trial(3, 0.0, 0.1, feasible=False),
        trial(4, 0.5, 0.5, recipe_id="r1"),
        trial(5, None, 0.1),
    )
    assert [t.number for t in pareto_front(run)] == [0, 1]


def test_the_front_depends_on_the_objectives():
    trials = trial(0, 0.0, 1.0, size_mb=2.0), trial(1, 0.0, 1.1, size_mb=1.0)
    assert len(pareto_front(run_of(*trials))) == 1
    assert len(pareto_front(run_of(*trials, objectives=("quality", "latency", "size")))) == 2
    assert [t.number for t in pareto_front(run_of(*trials, objectives=("size",)))] == [1]


def test_staircase_keeps_what_none_dominates():
    points = [(1, 5), (2, 3), (2, 4), (3, 3), (4, 1), (5, 2)]
    assert staircase(points) == [(1, 5), (2, 3), (4, 1)]


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_hypervolume_is_the_union_of_the_boxes(dimensions):
    rng = random.Random(dimensions)
    points = [tuple(rng.random() for _ in range(dimensions)) for _ in range(7)]
    assert hypervolume(points) == pytest.approx(inclusion_exclusion(points))
    assert hypervolume([*points, points[0]]) == pytest.approx(inclusion_exclusion(points))


def test_progress_is_the_share_of_the_box_between_source_and_ideal():
    run = run_of(
        trial(0, 0.5, 1.0),
        trial(1, 0.5, 1.0, feasible=False),
        trial(2, -0.2, 1.0),
        trial(3, 1.0, 0.0001),
        limits={"max_accuracy_drop": 1.0},
    )
    # Half the drop and half the latency, then no drop at half the latency.
    assert [number for number, _ in hypervolume_progress(run)] == [0, 1, 2, 3]
    assert [share for _, share in hypervolume_progress(run)] == pytest.approx(
        [0.25, 0.25, 0.5, 0.5]
    )


def test_what_is_worse_than_the_source_adds_nothing():
    run = run_of(trial(0, 0.0, 3.0), trial(1, 0.0, 1.0))
    assert [share for _, share in hypervolume_progress(run)] == pytest.approx([0.0, 0.5])


def test_without_values_of_the_source_the_worst_trial_is_the_reference():
    run = run_of(trial(0, 0.0, 4.0), trial(1, 0.0, 1.0), source=SourceRecord("m"))
    assert [share for _, share in hypervolume_progress(run)] == pytest.approx([0.0, 0.75])


def test_progress_never_falls(run):
    shares = [share for _, share in hypervolume_progress(run)]
    assert shares == sorted(shares)
    assert 0 < shares[-1] < 1
    assert len(shares) == len(run.trials)


def test_progress_of_nothing_is_empty():
    assert hypervolume_progress(run_of()) == []


def _many(count, objectives, seed):
    """Trials of which none dominates another, each halfway good at everything."""
    rng, trials = random.Random(seed), []
    for number in range(count):
        draws = [rng.random() for _ in range(6)]
        scale = 1.5 / sum(draws[: len(objectives)])
        drop, latency, size, memory, download, rate = (min(scale * d, 1.0) for d in draws)
        figures = {"memory_mb": 10 * memory, "download_mb": 4 * download}
        figures["throughput_per_s"] = 500 / max(rate, 1e-3)
        trials.append(trial(number, drop, 2 * latency, 4 * size, **figures))
    source = SourceRecord("m", {**SOURCE.values, "download_mb": 4.0})
    return run_of(*trials, objectives=objectives, source=source, limits={"max_accuracy_drop": 1.0})


def test_progress_of_four_objectives_is_close_to_the_volume():
    run = _many(12, ("quality", "latency", "size", "memory"), 0)
    exact = hypervolume([losses(run, t.values) for t in pareto_front(run)])
    assert hypervolume_progress(run)[-1][1] == pytest.approx(exact, abs=0.005)


def test_progress_of_all_objectives_does_not_take_for_ever():
    objectives = ("quality", "latency", "size", "memory", "download", "throughput")
    shares = [share for _, share in hypervolume_progress(_many(150, objectives, 1))]
    assert shares == sorted(shares)
    assert 0.1 < shares[20] < shares[-1] < 1.0
