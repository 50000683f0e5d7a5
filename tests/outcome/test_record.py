from dataclasses import replace

import pytest

from hamerspace.constraints import Constraints
from hamerspace.outcome.measurement import Gate, Measurement
from hamerspace.outcome.record import Evaluation, Record, judge, left_in_float_text
from hamerspace.quantities import Objective
from hamerspace.recipe import Recipe
from hamerspace.testing.simulation import SimulatedEvaluator

RECIPE = Recipe({"backend": "onnxruntime", "onnxruntime.quantization": "none"})
OBJECTIVES = (Objective.QUALITY, Objective.LATENCY, Objective.SIZE)
SOURCE = {"quality": 0.9, "latency": 2.0, "size": 4.0}


def _whole():
    return SimulatedEvaluator(failing=0)(RECIPE)


@pytest.mark.parametrize("failing", [0.0, 1.0])
def test_a_record_survives_json(failing):
    evaluation = SimulatedEvaluator(failing=failing)(RECIPE)
    record = Record(evaluation, "known", {"builds": 0.0}, {"size": 1.0}, ("quality",), None, 1.5, 2)
    assert Record.from_json(record.to_json()) == record


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            ('"backend": "onnxruntime"', '"backend": 3'),
            "'evaluation.recipe.parameters' names no 'backend'",
        ),
        (('"ended_at": "complete"', '"ended_at": "lunch"'), "'evaluation.measurement.ended_at'"),
        (('"violations": {', '"violations": {"x": "y", '), "'violations.x' should be"),
    ],
)
def test_a_damaged_record_is_named_by_its_key(damage, said):
    text = Record(_whole(), "known", {"builds": 0.0}, {}).to_json().replace(*damage)
    with pytest.raises(ValueError, match=r"'[\w.]+'") as told:
        Record.from_json(text)
    assert said in str(told.value)


def test_what_is_left_in_float_is_kept_and_told():
    names = tuple(f"layer{i}" for i in range(7))
    record = Record(replace(_whole(), left_in_float=names), "known", {}, {})
    kept = Record.from_json(record.to_json()).evaluation.left_in_float
    assert kept == names
    assert left_in_float_text(kept).endswith("layer0, layer1, layer2, layer3, layer4 and 2 more")
    assert left_in_float_text(()) == ""


def test_a_reuse_points_to_the_trial_that_measured():
    record = Record(_whole(), "known", {"builds": 0.0}, {})
    reuse = record.as_reuse(3, "sampled", 10.0)
    assert (reuse.reused_from, reuse.origin) == (3, "sampled")
    assert reuse.as_reuse(9, "sampled", 11.0).reused_from == 3


def test_a_limit_that_is_met_exactly_is_kept():
    evaluation = _whole()
    limit = evaluation.measurement.size_mb
    violations, _, imputed = judge(evaluation, Constraints(max_size_mb=limit), OBJECTIVES, SOURCE)
    assert violations == {"builds": 0.0, "max_size_mb": 0.0}
    assert imputed == ()
    assert Record(evaluation, "known", violations, {}, imputed).feasible


def test_a_violation_is_relative_to_its_limit():
    evaluation = _whole()
    limit = evaluation.measurement.size_mb / 3
    violations, values, _ = judge(evaluation, Constraints(max_size_mb=limit), OBJECTIVES, SOURCE)
    assert violations["max_size_mb"] == pytest.approx(2.0)
    assert values["size"] == evaluation.measurement.size_mb


def test_what_was_not_measured_is_imputed_at_the_source_and_said():
    evaluation = Evaluation(RECIPE, Measurement(Gate.SIZE, "too large", size_mb=20.0))
    limits = Constraints(max_size_mb=10, max_latency_ms=1)
    violations, values, imputed = judge(evaluation, limits, OBJECTIVES, SOURCE)
    assert violations == {"builds": 0.0, "max_size_mb": 1.0, "max_latency_ms": 0.0}
    assert values == {"quality": 0.9, "latency": 2.0, "size": 20.0}
    assert set(imputed) == {"max_latency_ms", "quality", "latency"}


def test_only_what_was_measured_is_observed():
    assert Measurement(Gate.SIZE, size_mb=2.0).observed() == {"size": 2.0}
    wanted = {"size", "memory", "latency", "throughput", "quality", "drop", "download"}
    wanted |= {"p90_latency", "load_time"}
    assert set(_whole().measurement.observed()) == wanted


def test_a_record_shows_in_one_line():
    record = Record(_whole(), "known", {"builds": 0.0}, {})
    assert repr(record).startswith("<Record known, feasible: Recipe({'backend': 'onnxruntime'")
    assert "\n" not in repr(record)
