import contextlib
import json
import sqlite3

import pytest
from optuna.trial import TrialState

from hamerspace.build.store import Store, default_store_folder
from hamerspace.dashboard.artifacts import RunArtifacts
from hamerspace.dashboard.mirror import Mirror
from hamerspace.study import Study


def mirror_of(folder):
    study = Study.load(folder)
    mirror = Mirror(study, RunArtifacts(study.folder, Store(default_store_folder())))
    mirror.refresh()
    return mirror


def _trials(mirror):
    return mirror.storage.get_all_trials(mirror.study_id)


def test_trials_say_what_was_measured_and_no_more(finished):
    study, trials = Study.load(finished), _trials(mirror_of(finished))
    records = study.records()
    states = {number: trials[number].state for number in records}
    assert set(states.values()) == {TrialState.COMPLETE, TrialState.PRUNED}
    for number, record in records.items():
        assert (states[number] is TrialState.PRUNED) == bool(record.imputed)
        if not record.imputed:
            assert trials[number].values == list(record.values.values())
        kept = study.optuna_study.trials[number]
        assert trials[number].params == kept.params
        assert trials[number].datetime_start == kept.datetime_start
        assert trials[number].user_attrs["size_mb"] > 0


def test_a_candidate_that_cannot_be_run_has_failed(write_study, plugins, tmp_path):
    study = write_study(
        tmp_path / "study",
        {"backend": ["onnxruntime", "unruly"], "unruly.behaviour": ["build_raises"]},
        budget={"trials": 2},
    )
    Study.from_yaml(study, out=tmp_path / "run").optimize()
    states = [trial.state for trial in _trials(mirror_of(tmp_path / "run"))]
    assert sorted(state.name for state in states) == ["COMPLETE", "FAIL"]


def test_the_best_trials_are_the_feasible_front(finished):
    mirror = mirror_of(finished)
    assert mirror.best == tuple(Study.load(finished).front())
    assert mirror.best


def test_a_study_that_goes_on_is_followed(study_file, run):
    mirror = mirror_of(run)
    before = len(_trials(mirror))
    result = (run / "result.json").read_bytes()
    Study.from_yaml(study_file, out=run).optimize(n_trials=before + 1)
    (run / "result.json").write_bytes(result)  # as while it goes on
    mirror.refresh()
    assert len(_trials(mirror)) == before + 1
    assert not mirror.outdated


def test_only_a_new_copy_shows_another_result(run):
    mirror, result = mirror_of(run), json.loads((run / "result.json").read_text())
    assert "winner" in mirror.storage.get_study_user_attrs(mirror.study_id)
    (run / "result.json").write_text(json.dumps({**result, "winner": None}))
    assert mirror.outdated
    again = mirror_of(run)
    assert "winner" not in again.storage.get_study_user_attrs(again.study_id)


def test_nothing_is_written_to_the_run(run):
    def seen():
        # Whoever closes SQLite's files last puts its log into the database: what counts is in it.
        with contextlib.closing(sqlite3.connect(run / "study.db")) as database:
            held = list(database.iterdump())
        files = [path for path in run.rglob("*") if not path.name.startswith("study.db")]
        times = {path: path.stat().st_mtime_ns for path in files if path.is_file()}
        return held, times

    before = seen()
    mirror_of(run)
    assert seen() == before


def test_a_run_whose_task_is_not_read_yet_is_empty_and_taken_up_later(run):
    hidden = {}
    for name in ("facts.json", "study.db", "result.json", "source.json"):
        hidden[name] = (run / name).read_bytes()
        (run / name).unlink()
    mirror = mirror_of(run)
    assert _trials(mirror) == []
    assert mirror.best == ()
    for name, content in hidden.items():
        (run / name).write_bytes(content)
    assert mirror.outdated
    assert len(_trials(mirror_of(run))) == len(Study.load(run).records())


def test_a_copy_whose_directions_were_guessed_wrong_is_outdated(run):
    facts = (run / "facts.json").read_text()
    (run / "facts.json").unlink()
    mirror = mirror_of(run)
    (run / "facts.json").write_text(facts.replace('"maximize"', '"minimize"'))
    assert mirror.outdated


@pytest.mark.parametrize("limit", ["quality drop", "size"])
def test_limits_are_told_at_the_study(finished, limit):
    mirror = mirror_of(finished)
    assert mirror.storage.get_study_user_attrs(mirror.study_id)[limit].startswith("at most ")
