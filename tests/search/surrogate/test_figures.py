import math

import pytest

from hamerspace.outcome.measurement import Gate, Measurement
from hamerspace.quantities import Objective
from hamerspace.recipe import Recipe
from hamerspace.search.surrogate.figures import figures_of
from hamerspace.testing.simulation import SimulatedEvaluator
from tests.search.conftest import FIGURES

RECIPE = Recipe({"backend": "onnxruntime"})


@pytest.fixture
def figures(goal):
    def figures(*objectives, **limits):
        return {figure.name: figure for figure in figures_of(goal(*objectives, **limits))}

    return figures


def test_objectives_come_first_then_limits_on_anything_else(figures):
    found = figures(Objective.LATENCY, Objective.SIZE, max_size_mb=2.0, max_memory_mb=8.0)
    assert [(f.name, f.objective) for f in found.values()] == [
        ("latency", True),
        ("size", True),
        ("memory", False),
    ]


@pytest.mark.parametrize("objective", list(Objective))
def test_less_is_better_and_the_source_model_stands_at_0(figures, objective):
    (figure,) = figures(objective).values()
    if objective is Objective.QUALITY:
        better, source, worse = 0.0, 0.0, 1.0
    elif objective is Objective.THROUGHPUT:
        source = FIGURES["throughput"]
        better, worse = 2 * source, source / 2
    else:
        source = FIGURES[objective.value]
        better, worse = source / 2, 2 * source
    assert figure.scale(source) == 0.0
    assert figure.scale(better) <= 0.0 < figure.scale(worse)
    if objective is not Objective.QUALITY:
        assert (figure.scale(better), figure.scale(worse)) == pytest.approx((-1.0, 1.0))


def test_the_box_ends_at_the_limit_and_without_one_at_the_source(figures):
    found = figures(Objective.SIZE, Objective.LATENCY, Objective.QUALITY, max_size_mb=1.0)
    assert found["size"].high == pytest.approx(-2.0)  # a quarter of 4 MB
    assert found["latency"].high == 0.0
    assert found["drop"].low == 0.0
    assert found["drop"].scale(5.0) < found["drop"].high
    limited = figures(Objective.QUALITY, max_accuracy_drop=2.0)["drop"]
    assert limited.high == limited.scale(2.0)


@pytest.mark.parametrize("objective", list(Objective))
def test_slopes_are_those_of_the_scales(figures, objective):
    (figure,) = figures(objective).values()
    for value in (0.3, 1.0, 20.0):
        step = 1e-5 * value
        wanted = (figure.scale(value + step) - figure.scale(value - step)) / (2 * step)
        assert figure.slope(value) == pytest.approx(wanted, rel=1e-4)


def test_an_observation_carries_its_variance(figures):
    measurement = SimulatedEvaluator(failing=0)(RECIPE).measurement
    found = figures(Objective.QUALITY, Objective.LATENCY, Objective.SIZE)
    values = measurement.observed()
    size, latency, drop = (found[name].observe(measurement) for name in ("size", "latency", "drop"))
    assert size == (math.log2(values["size"] / 4.0), 0.0)
    # 2 % either way at 95 %, in doublings
    assert latency[1] == pytest.approx((0.02 / 1.96 / math.log(2)) ** 2, rel=1e-3)
    assert drop[1] == pytest.approx((0.3 / 1.96 * found["drop"].slope(values["drop"])) ** 2)


def test_what_was_not_measured_is_not_known(figures):
    ended = Measurement(Gate.SIZE, "too large", size_mb=8.0)
    found = figures()
    assert found["size"].observe(ended) == (1.0, 0.0)
    assert found["latency"].observe(ended) is None
    assert found["drop"].observe(ended) is None
