from dataclasses import replace

import pytest

from hamerspace.dashboard.notes import study_note, trial_note
from hamerspace.report.figures.progress import fate
from hamerspace.report.markup import escape
from tests.report.example_run import changed, example_run, infeasible_run

EXPORT = "hamerspace export runs/x --trial 7 --output FOLDER"


@pytest.fixture(scope="module")
def run():
    return example_run()


def _note(run, wanted):
    trial = next(trial for trial in run.trials if wanted(trial))
    return trial, trial_note(run, trial, EXPORT)


def test_a_feasible_trial_tells_recipe_measurements_and_limits(run):
    confirmed = {c.number for c in run.confirmed}
    trial, note = _note(run, lambda t: t.feasible and t.number not in confirmed)
    lines = note.splitlines()
    assert "**Keeps all limits.**" in lines
    for name, value in trial.parameters.items():
        assert f"| `{name}` | `{value}` |" in lines
    (latency,) = (line for line in lines if line.startswith("| latency |"))
    assert " ms \\[" in latency
    assert "faster" in latency
    assert "at most 0.6 ms: **kept**" in latency
    assert "drop at most 1 point: **kept**" in note
    assert f"`{EXPORT}`" in note


def test_the_winner_tells_what_confirmation_found(run):
    _, note = _note(run, lambda t: t.number == run.winner.number)
    assert "**The winner. " in note
    confirmed = note[note.index("### Confirmed") : note.index("### Measured in the search")]
    for verdict in run.winner.verdicts.values():
        assert f"**{verdict}**" in confirmed


@pytest.mark.parametrize(
    "gate", ["size", "download", "memory", "latency", "quality", "build", "load"]
)
def test_a_trial_that_a_gate_ended_tells_why_and_claims_nothing_more(run, gate):
    base = next(t for t in run.trials if t.feasible)
    reason = "size 2 MB, at most 1 MB"
    fields = {"ended_at": gate, "feasible": False, "reason": reason, "values": {"size_mb": 2}}
    trial = changed(base, number=99, **fields)
    note = trial_note(run, trial, EXPORT)
    assert "size 2 MB, at most 1 MB" in note.splitlines()[2]
    assert "| size | 2 MB |" in note
    assert "| latency |" not in note
    assert fate(trial) == gate


def test_a_measured_trial_that_misses_a_limit_names_it(run):
    _, note = _note(run, lambda t: fate(t) == "missed")
    assert "**Misses a limit: " in note
    assert "**missed**" in note


def test_without_limits_there_is_no_column_for_them(run):
    trial = next(t for t in run.trials if t.feasible)
    note = trial_note(replace(run, constraints={}, confirmed=()), trial, EXPORT)
    assert "limit" not in note.lower()
    assert "**Measured in full.**" in note


def test_the_note_of_a_study_has_verdict_table_and_legend(run):
    note = study_note(run)
    assert escape(run.labels[run.chosen]) in note.splitlines()[0]
    assert f"| {escape(run.source.label)} |" in note
    assert "*Pruned*: a gate ended the trial" in note
    for warning in run.warnings:
        assert f"> **Warning:** {escape(warning)}" in note


def test_warnings_come_first_and_apart_from_notes(run):
    note = study_note(replace(run, warnings=("worth little",), notes=("halved at random",)))
    lines = [line for line in note.splitlines() if line.startswith("> ")]
    assert lines == ["> **Warning:** worth little", "> halved at random"]


def test_the_note_of_a_study_without_a_winner_names_the_nearest():
    run = infeasible_run()
    note = study_note(run)
    for nearest in run.nearest:
        assert f"- nearest: trial {nearest.number}, " in note


def test_what_a_run_holds_is_no_markup_in_a_note(run):
    base = next(t for t in run.trials if t.feasible)
    hostile = "`<img src=x onerror=alert(1)>`|"
    parameters = {**base.parameters, hostile: hostile}
    trial = changed(base, number=99, parameters=parameters, seconds={hostile: 1.0})
    note = trial_note(run, trial, f"hamerspace export '{hostile}'")
    assert "<img" not in note.replace("\\<img", "")
    assert all("`" not in part for part in note.replace("\\`", "").split("`")[1::2])
    assert "onerror" in note
