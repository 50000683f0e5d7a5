from dataclasses import replace

from hamerspace.outcome.interval import Interval
from hamerspace.outcome.record import Record
from hamerspace.progress.count import Progress, cells, fate, figures
from hamerspace.recipe import Recipe
from hamerspace.testing.simulation import SimulatedEvaluator


def test_trials_are_counted_against_the_budget_of_the_call(study, record):
    progress = Progress(study, trials=3)
    progress.phase("searching")
    assert progress.time_left() == "an unknown time"
    for number, quantization in enumerate(["none", "static_int8"]):
        progress.trial_started(number, record(quantization).recipe, "known")
        assert progress.current.startswith(f"#{number} onnxruntime")
        progress.trial_finished(number, record(quantization))
    assert (progress.done, progress.trials, progress.current) == (2, 3, "")
    assert progress.time_left().endswith(" s")
    assert Progress(study).trials == 6


def test_the_best_and_the_front_are_of_the_feasible_trials(study, record):
    progress = Progress(study)
    progress.phase("searching")
    assert progress.best_text() == "none yet"
    progress.trial_finished(0, record("none", failing=True))
    assert progress.best_text() == "none yet"
    assert not progress.on_front
    progress.trial_finished(1, record("static_int8"))
    assert progress.best_text().startswith("#1 onnxruntime static_int8: ")
    assert list(progress.on_front) == [1]


def test_only_the_latest_trials_are_kept(study, record):
    progress = Progress(study)
    for number in range(20):
        progress.trial_finished(number, record())
    assert [number for number, _ in progress.latest] == list(range(12, 20))


def test_a_trial_is_told_by_what_it_came_to(record):
    whole, failed = record(), record(failing=True)
    assert "MB" in fate(whole)
    assert "drop" in fate(whole)
    assert fate(failed) == "simulated failure"
    reused = whole.as_reuse(0, "sampled", 1.0)
    assert cells(4, reused) == ("#4", "onnxruntime fp32", "reused", "same as trial 0")


def test_a_new_phase_ends_the_trial_that_was_shown(study):
    progress = Progress(study)
    progress.trial_started(0, Recipe({"backend": "openvino"}), "baseline")
    progress.phase("confirming the front")
    assert (progress.text, progress.current) == ("confirming the front", "")


def test_an_unknown_ratio_leaves_no_empty_brackets():
    evaluation = SimulatedEvaluator(failing=0)(Recipe({"backend": "any"}))
    latency = evaluation.measurement.latency
    unknown = replace(latency, ratio=Interval(0.0, 0.0, 0.0))
    measurement = replace(evaluation.measurement, latency=unknown)
    record = Record(replace(evaluation, measurement=measurement), "sampled", {}, {})
    assert " ms" in figures(record)
    assert "()" not in figures(record)
