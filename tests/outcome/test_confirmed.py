from dataclasses import replace

import pytest

from hamerspace.constraints import Constraints
from hamerspace.outcome.confirmed import Confirmed, verdicts_of
from hamerspace.outcome.interval import Interval
from hamerspace.outcome.measurement import Gate, Measurement, Quality
from hamerspace.recipe import Recipe
from hamerspace.testing.simulation import SimulatedEvaluator

LIMITS = Constraints(max_size_mb=2.0, max_latency_ms=1.0, max_accuracy_drop=1.0)


def _measured(size_mb=1.0, latency=(0.4, 0.5, 0.6), drop=(0.1, 0.3, 0.5)):
    whole = SimulatedEvaluator(failing=0)(Recipe({"backend": "any"})).measurement
    low, estimate, high = latency
    latency_ms = Interval(estimate, low, high)
    ratio = latency_ms.scaled(0.5)
    found_latency = replace(whole.latency, latency_ms=latency_ms, ratio=ratio)
    quality = Quality(0.9 - drop[1] / 100, 0.9, Interval(drop[1], drop[0], drop[2]), 500, 500)
    return replace(whole, size_mb=size_mb, latency=found_latency, quality=quality)


def _confirmed(number, **figures):
    measurement = _measured(**figures)
    verdicts = verdicts_of(measurement, LIMITS)
    return Confirmed(number, f"id{number}", measurement, verdicts)


@pytest.mark.parametrize(
    ("figures", "limit", "verdict"),
    [
        ({}, "max_accuracy_drop", "kept"),
        ({"drop": (0.2, 0.9, 1.6)}, "max_accuracy_drop", "not shown"),
        ({"drop": (-0.1, 1.2, 2.5)}, "max_accuracy_drop", "not shown"),
        ({"drop": (1.1, 2.0, 2.9)}, "max_accuracy_drop", "missed"),
        ({"drop": (0.5, 0.8, 1.0)}, "max_accuracy_drop", "kept"),
        ({"latency": (0.9, 0.99, 1.1)}, "max_latency_ms", "not shown"),
        ({"latency": (1.01, 1.1, 1.2)}, "max_latency_ms", "missed"),
        ({"size_mb": 2.0}, "max_size_mb", "kept"),
        ({"size_mb": 2.1}, "max_size_mb", "missed"),
    ],
)
def test_a_limit_is_kept_missed_or_not_shown(figures, limit, verdict):
    assert verdicts_of(_measured(**figures), LIMITS)[limit] == verdict


def test_only_limits_that_are_set_are_judged():
    assert verdicts_of(_measured(), Constraints()) == {}


def test_what_was_not_measured_is_not_shown():
    crashed = Measurement(Gate.LOAD, "crashed", failed=True)
    assert set(verdicts_of(crashed, LIMITS).values()) == {"not shown"}


@pytest.mark.parametrize(
    ("limits", "verdict"),
    [
        ({"max_p90_latency_ms": 1.2}, "kept"),
        ({"max_p90_latency_ms": 1.1}, "not shown"),
        ({"max_p90_latency_ms": 1.0}, "missed"),
        ({"max_load_time_ms": 10.0}, "kept"),
        ({"max_load_time_ms": 9.0}, "missed"),
    ],
)
def test_the_tail_is_judged_by_its_interval_and_loading_by_what_it_took(limits, verdict):
    whole = _measured()
    tail = Interval(1.1, 1.05, 1.15)
    measurement = replace(whole, latency=replace(whole.latency, p90_latency_ms=tail))
    assert set(verdicts_of(measurement, Constraints(**limits)).values()) == {verdict}


def test_a_confirmation_survives_json():
    confirmed = _confirmed(4)
    assert Confirmed.from_dict(confirmed.to_dict()) == confirmed


def test_a_confirmed_candidate_shows_its_figures_and_verdicts():
    shown = _confirmed(3, drop=(0.2, 0.9, 1.6))
    for text in (repr(shown), shown._repr_html_()):
        assert "0.9 [+0.2, +1.6]" in text
        assert "not shown" in text
