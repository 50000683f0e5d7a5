"""Whole searches of a tiny ONNX model, with the real runtimes."""

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
import yaml

from hamerspace import Study
from hamerspace.backends import BACKENDS
from hamerspace.backends.candidate import Candidate
from hamerspace.build.worker import Worker
from hamerspace.errors import ConfigError, DeviceError, HamerspaceError, RunFolderError
from hamerspace.targets.local import LocalTarget
from tests import onnx_models

LIMITS = {"max_size_mb": 1.0, "max_accuracy_drop": 60.0}
BEHAVIOURS = [
    "none",
    "build_raises",
    "build_segfaults",
    "build_hangs",
    "build_floods",
    "load_raises",
    "run_segfaults",
    "run_hangs",
    "run_nan",
    "run_shape",
]


def _refuse(worker):
    raise AssertionError("a worker was started")


@pytest.fixture(scope="module")
def study_file(write_study, tmp_path_factory):
    return write_study(
        tmp_path_factory.mktemp("study"),
        constraints=LIMITS,
        objectives=["quality", "size"],
        budget={"trials": 30},
    )


@pytest.fixture(scope="module")
def finished(study_file, tmp_path_factory):
    """A search of all five recipes, to look at and to leave as it is."""
    return Study.from_yaml(study_file, out=tmp_path_factory.mktemp("runs") / "run").optimize()


def test_every_recipe_was_built_measured_and_judged(finished):
    records = finished.records()
    assert finished.result["finished"] == len(records)
    assert finished.result["stopped_because"] == "every one of the 5 recipes was measured"
    labels = {
        (r.recipe.backend, r.recipe[f"{r.recipe.backend}.quantization"]) for r in records.values()
    }
    assert len(labels) == 5
    for record in records.values():
        assert not record.measurement.failed, record.measurement.reason
        assert record.measurement.latency.latency_ms.estimate > 0
        assert record.measurement.quality is not None
    static = next(r for r in records.values() if "static_int8" in r.recipe.parameters.values())
    assert static.measurement.size_mb < finished.source.size_mb


def test_baselines_lose_nothing(finished):
    baselines = [r for r in finished.records().values() if r.origin == "baseline"]
    assert len(baselines) == 2
    for record in baselines:
        assert record.measurement.quality.drop.estimate == pytest.approx(0.0, abs=0.01)


def test_the_winner_was_confirmed_on_other_rows_and_keeps_the_limits(finished):
    best = finished.best
    assert set(best.verdicts.values()) == {"kept"}
    assert best.number in finished.front()
    assert best.number in {c.number for c in finished.confirmed}
    assert best.measurement.quality.rows == 160
    assert best.recipe_id == finished.records()[best.number].recipe.id


def test_the_source_is_told_as_the_winner_was_timed_beside_it(finished):
    run, latency = finished.run_data(), finished.best.measurement.latency
    assert latency.processes > 1
    source_ms = run.source.confirm_values["latency_ms"]
    assert run.winner.measurement.values()["latency_ms"] / source_ms == pytest.approx(
        latency.ratio.estimate
    )


def test_the_folder_holds_what_a_user_needs(finished):
    path = finished.folder.path
    for name in ("run.json", "study.db", "source.json", "result.json", "report.html"):
        assert (path / name).is_file()
    assert "tiny" in (path / "report.html").read_text()
    for record in finished.records().values():
        assert (path / "artifacts" / record.recipe.id / "build.log").is_file()


def test_a_run_can_be_opened_again(finished):
    again = Study.load(finished.folder.path)
    assert again.best == finished.best
    assert again.records() == finished.records()
    assert again.loaded == finished.loaded
    assert len(again.optuna_study.trials) == len(finished.records())


def test_trials_are_a_table(finished):
    frame = finished.trials_dataframe()
    assert len(frame) == len(finished.records())
    assert frame["size_mb"].notna().all()


def test_only_finished_trials_are_in_the_storage(finished):
    assert {t.state.name for t in finished.optuna_study.trials} == {"COMPLETE"}
    assert finished.optuna_study.metric_names == ["quality", "size_mb"]


def test_a_finished_search_builds_and_measures_nothing_again(finished, study_file, monkeypatch):
    monkeypatch.setattr(Worker, "start", _refuse)
    before = finished.folder.read("result.json")
    again = Study.from_yaml(study_file, out=finished.folder.path).optimize()
    assert again.result == before


def test_a_search_ends_when_little_is_left_to_gain_and_stays_ended(
    write_study, tmp_path, monkeypatch
):
    parameters = {
        "backend": "onnxruntime",
        "onnxruntime.quantization": ["none", "dynamic_int8"],
        "onnxruntime.weight_type": ["qint8", "quint8"],
        "onnxruntime.optimization_level": ["all", "basic", "extended", "disabled"],
    }
    study_file = write_study(tmp_path / "study", parameters, constraints=LIMITS)
    flags = {"min_gain_percent": 1e5, "out": tmp_path / "run", "history": False}
    study = Study.from_yaml(study_file, **flags).optimize()
    reason = "a trial more was expected to add less than 100000 % to the hypervolume"
    assert len(study.records()) < 12
    assert study.result["stopped"]["reason"] == "gain"
    assert study.result["stopped_because"] == reason
    assert f"The search stopped: {reason}." in study.folder.report.read_text()
    monkeypatch.setattr(Worker, "start", _refuse)
    again = Study.from_yaml(study_file, **flags).optimize()
    assert again.result == study.result


def test_more_trials_go_on_where_the_search_was(study_file, finished, tmp_path):
    out = tmp_path / "run"
    Study.from_yaml(study_file, out=out, trials=1).optimize()
    more = Study.from_yaml(study_file, out=out, trials=2).optimize()
    records = more.records()
    assert list(records) == [0, 1]
    assert more.result["finished"] == 2
    taken = sum(r.finished_s - r.started_s for r in records.values())
    assert more.result["search_s"] == pytest.approx(taken)  # of both calls
    assert all(not r.evaluation.build_seconds for r in records.values())  # built by 'finished'


def test_a_study_goes_on_where_another_process_has_left_it(study_file, tmp_path):
    study = Study.from_yaml(study_file, out=tmp_path / "run").optimize(1)
    Study.load(tmp_path / "run").optimize(2)
    assert sorted(study.optimize(3).records()) == [0, 1, 2]


def test_after_a_write_that_failed_the_same_study_goes_on(study_file, tmp_path, monkeypatch):
    study = Study.from_yaml(study_file, out=tmp_path / "run")

    def full(*_):
        raise OSError("no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("hamerspace.search.writer.add_trial", full)
        with pytest.raises(OSError, match="no space left"):
            study.optimize(n_trials=2)
    assert study.records() == {}
    study.optimize(n_trials=2)
    assert list(study.records()) == [trial.number for trial in study.optuna_study.trials] == [0, 1]


def test_another_study_in_the_folder_is_refused_with_what_has_changed(finished, study_file):
    flags = {"max_size_mb": 0.5, "backends": ("onnxruntime",)}
    study = Study.from_yaml(study_file, out=finished.folder.path, **flags)
    with pytest.raises(RunFolderError, match="holds another study") as refused:
        study.optimize()
    assert "  constraints.max_size_mb: 1 -> 0.5\n" in str(refused.value)
    assert "  backends: all -> onnxruntime\n" in str(refused.value)
    with pytest.raises(RunFolderError, match=r"cannot be built again:\n  constraints\.max_size_mb"):
        study.build(0)


def test_a_changed_study_sets_the_earlier_run_aside_and_begins_anew(
    finished, study_file, tmp_path, caplog
):
    out = tmp_path / "run"
    shutil.copytree(finished.folder.path, out)
    flags = {"max_size_mb": 0.5, "trials": 2}
    study = Study.from_yaml(study_file, out=out, **flags)
    assert study.records()  # of the earlier run
    study.optimize(force=True)
    assert len(study.records()) == study.result["finished"] == 2
    assert all(not r.evaluation.build_seconds for r in study.records().values()), "it was kept"
    aside = tmp_path / "run.before-1"
    assert f"the earlier run was set aside: {aside}" in caplog.text
    assert Study.load(aside).records() == finished.records()
    assert Study.load(aside).best == finished.best

    # What has not changed goes on, whatever is said.
    study.optimize(n_trials=3, force=True)
    assert len(study.records()) == 3
    assert not (tmp_path / "run.before-2").exists()


def test_other_choices_set_the_earlier_run_aside_too(finished, study_file, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(finished.folder.path, out)
    facts = json.loads((out / "facts.json").read_text())
    facts["choices"]["openvino.precision"] = "f32, bf16"
    (out / "facts.json").write_text(json.dumps(facts))
    study = Study.from_yaml(study_file, out=out, trials=50)
    (out / "result.json").unlink()  # or it would not be looked at
    with pytest.raises(RunFolderError, match="precision: f32, bf16 -> not there"):
        study.optimize()
    study.optimize(n_trials=1, force=True)
    assert len(study.records()) == 1
    assert len(Study.load(tmp_path / "run.before-1").records()) == len(finished.records())


@pytest.mark.parametrize(("name", "value"), [("processor", "Another CPU"), ("onnxruntime", "0.1")])
def test_figures_of_another_machine_or_runtime_are_not_mixed_with_those_of_today(
    finished, study_file, tmp_path, name, value
):
    out = tmp_path / "run"
    shutil.copytree(finished.folder.path, out)
    facts = json.loads((out / "facts.json").read_text())
    now = facts["conditions"][name]
    facts["conditions"][name] = value
    (out / "facts.json").write_text(json.dumps(facts))
    (out / "result.json").unlink()
    study = Study.from_yaml(study_file, out=out, trials=50)
    with pytest.raises(RunFolderError, match="would not compare") as refused:
        study.optimize()
    assert f"  {name}: {value} -> {now}\n" in str(refused.value)
    study.optimize(n_trials=1, force=True)
    assert len(study.records()) == 1
    assert len(Study.load(tmp_path / "run.before-1").records()) == len(finished.records())


def test_processes_on_other_machines_do_not_share_trials(study_file, tmp_path, monkeypatch):
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    one, other = (
        Study.from_yaml(study_file, out=tmp_path / name, storage=storage) for name in "ab"
    )
    one.optimize(n_trials=1)
    here = LocalTarget.environment
    monkeypatch.setattr(LocalTarget, "environment", lambda t: {**here(t), "processor": "Another"})
    with pytest.raises(RunFolderError, match=r"would not compare.*another processor"):
        other.optimize(n_trials=2)
    assert len(one.records()) == 1


def test_time_that_ends_before_a_trial_is_an_error_that_says_so(study_file, tmp_path):
    study = Study.from_yaml(study_file, out=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"before a trial could begin.*allow more"):
        study.optimize(timeout=0.001)


def test_a_fault_of_the_device_ends_a_search_that_goes_on_later(study_file, tmp_path, monkeypatch):
    start, left = LocalTarget.start, iter(range(4))

    def lost(target, backend, log):
        if next(left, None) is None:
            raise DeviceError("the device went away")
        return start(target, backend, log)

    study = Study.from_yaml(study_file, out=tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(LocalTarget, "start", lost)
        with pytest.raises(DeviceError, match="went away"):
            study.optimize(n_trials=3)
    before = study.records()
    assert 0 < len(before) < 3
    study.optimize(n_trials=2)
    assert len(study.records()) == 2
    assert not any(record.measurement.failed for record in study.records().values())


@pytest.mark.parametrize("place", ["the storage", "the folder"])
def test_a_full_disk_of_the_run_is_told_as_such(study_file, tmp_path, monkeypatch, place):
    def full(*_, **__):
        if place == "the folder":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        cause = sqlite3.OperationalError("database or disk is full")
        raise RuntimeError("the storage has failed") from cause

    where = {"the storage": "writer.add_trial", "the folder": "running.facts_of"}[place]
    monkeypatch.setattr(f"hamerspace.search.{where}", full)
    with pytest.raises(RunFolderError, match=r"disk of .* is full: the run in") as told:
        Study.from_yaml(study_file, out=tmp_path / "run", trials=2).optimize()
    assert "damaged" not in str(told.value)


def test_an_exported_model_runs_alone_and_gives_what_the_session_gave(
    finished, onnx_task, tmp_path
):
    folder = finished.export(tmp_path / "best")
    with np.load(onnx_task / "data.npz") as archive:
        image = archive["image"][:1]
    np.savez(tmp_path / "in.npz", image=image)
    script = [sys.executable, str(folder / "predict.py"), "in.npz", "out.npz"]
    subprocess.run(script, cwd=tmp_path, check=True, timeout=60, capture_output=True)
    candidate = Candidate.load(folder)
    session = BACKENDS.load(candidate.backend).create().load(candidate, 1)
    with np.load(tmp_path / "out.npz") as archive:
        np.testing.assert_allclose(archive["logits"], session.run({"image": image})["logits"])
    recipe = json.loads((folder / "recipe.json").read_text())
    assert recipe["parameters"]["backend"] == candidate.backend


def test_the_winner_lies_in_the_folder_of_the_run(finished):
    assert Candidate.load(finished.folder.best).size_bytes > 0
    assert (finished.folder.best / "predict.py").is_file()


def test_any_trial_can_be_exported_into_a_new_folder_only(finished, tmp_path):
    assert Candidate.load(finished.export(tmp_path / "two", trial=2)).backend
    with pytest.raises(RunFolderError, match="is there already"):
        finished.export(tmp_path / "two", trial=2)
    with pytest.raises(ConfigError, match="no finished trial 99; finished are 0 to"):
        finished.export(tmp_path / "three", trial=99)


def test_a_place_that_cannot_be_written_is_refused(study_file, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunFolderError, match="cannot write to"):
        Study.from_yaml(study_file, out=tmp_path / "file" / "run").optimize()


def test_a_folder_of_strangers_is_refused(study_file, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(RunFolderError, match=r"thesis\.txt"):
        Study.from_yaml(study_file, out=tmp_path).optimize()


def test_where_nothing_keeps_the_limits_the_nearest_are_told(write_study, tmp_path):
    file = write_study(
        tmp_path / "study",
        {"backend": "onnxruntime", "onnxruntime.quantization": ["none", "static_int8"]},
        constraints={"max_size_mb": 0.0001},
    )
    study = Study.from_yaml(file, out=tmp_path / "run").optimize()
    assert study.best is None
    assert study.confirmed == []
    assert study.front() == {}
    assert not study.folder.best.exists()
    run = study.run_data()
    assert [n.number for n in run.nearest]
    assert all(set(n.misses) == {"max_size_mb"} for n in run.nearest)
    sizes = [n.misses["max_size_mb"].value for n in run.nearest]
    assert sizes == sorted(sizes)
    assert study.folder.report.is_file()
    with pytest.raises(ConfigError, match="no winner"):
        study.export(tmp_path / "best")


def test_whatever_a_candidate_does_is_a_result_and_the_search_goes_on(
    plugins, write_study, tmp_path
):
    """Third-party code that raises, crashes, hangs, floods memory, or gives nonsense."""
    file = write_study(
        tmp_path / "study",
        {"backend": "unruly", "unruly.behaviour": BEHAVIOURS},
        budget={
            "trials": 30,
            "build_timeout_s": 8.0,
            "build_memory_mb": 300.0,
            "measure_timeout_s": 4.0,
        },
    )
    study = Study.from_yaml(file, out=tmp_path / "run").optimize()
    found = {str(r.recipe["unruly.behaviour"]): r for r in study.records().values()}
    assert set(found) == set(BEHAVIOURS)
    assert {t.state.name for t in study.optuna_study.trials} == {"COMPLETE"}
    chosen = study.best or study.nearest_to_source  # it runs as the source model does
    assert study.records()[chosen.number].recipe["unruly.behaviour"] == "none"
    reasons = {name: record.measurement.reason for name, record in found.items()}
    assert reasons.pop("none") == ""
    wanted = {
        "build_raises": "build unruly: Unruly cannot build a candidate from model.onnx: "
        "the converter gave up",
        "build_segfaults": "build unruly: the process was killed by SIGSEGV",
        "build_hangs": "build unruly: took longer than 8 s",
        "build_floods": "build unruly: took more than 300 MB of memory",
        "load_raises": "load: RuntimeError: no such kernel",
        "run_segfaults": "load: the process was killed by SIGSEGV",
        "run_hangs": "load: took longer than 4 s",
        "run_nan": "output 'logits' holds values that are not finite",
        "run_shape": "output 'logits' has shape (4,) where the source gives (5,)",
    }
    assert reasons == wanted
    ended = study.trials_dataframe().set_index("recipe_id").ended_at
    for name, record in found.items():
        part = name.partition("_")[0].replace("run", "load")
        assert ended[record.recipe.id] == ("complete" if name == "none" else part)
    for name, record in found.items():
        trial = study.optuna_study.trials[
            next(n for n, r in study.records().items() if r == record)
        ]
        assert trial.constraints["builds"] == (0.0 if name == "none" else 1.0)
    log = study.folder.recipe_log(found["build_raises"].recipe, "build.log").read_text()
    assert "about to misbehave" in log
    assert "Traceback (most recent call last)" in log
    measured = study.folder.recipe_log(found["load_raises"].recipe, "measure.log").read_text()
    assert "no such kernel" in measured


_UNGUARDED = """
import sys
from hamerspace import Study
print("once", flush=True)
Study.from_yaml(sys.argv[1], out=sys.argv[2], trials=1).optimize()
"""


def test_a_script_without_a_guard_runs_once_and_the_library_prints_nothing(study_file, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(_UNGUARDED)
    command = [sys.executable, str(script), str(study_file), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "once\n"
    assert len(Study.load(tmp_path / "run").records()) == 1


def test_what_is_wrong_with_the_model_is_told_as_it_was_found(write_study, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"this is no model")
    source = {"source": {"path": str(broken)}}
    with pytest.raises(HamerspaceError, match=r"broken\.onnx"):
        Study.from_yaml(write_study(tmp_path / "s", task=source), out=tmp_path / "run").optimize()


def test_states_that_every_call_begins_with(tmp_path):
    """Inputs without rows: zeros, or what the data hold, the same in every call."""
    model = onnx_models.stateful(tmp_path)
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((320, 6)).astype(np.float32)
    np.savez(tmp_path / "data.npz", frames=frames)
    study = {
        "name": "stateful",
        "task": {
            "source": {"path": str(model.file("model")), "constants": ["state"]},
            "data": {"path": "data.npz", "whole_batches": True},
            "batch_size": 8,
        },
        "space": "space.yaml",
        "budget": {"trials": 2},
    }
    space = {"version": 1, "name": "s", "parameters": {"backend": ["onnxruntime", "openvino"]}}
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(space))
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    done = Study.from_yaml(tmp_path / "study.yaml", out=tmp_path / "run").optimize()
    for record in done.records().values():
        assert record.measurement.reason == ""
        assert abs(record.measurement.quality.drop.estimate) < 0.1
    manifest = json.loads((done.export(tmp_path / "first", 0) / "manifest.json").read_text())
    assert [spec["name"] for spec in manifest["inputs"]] == ["frames", "state"]


def test_a_study_shows_what_it_came_to(finished, study_file, tmp_path):
    assert f"winner: trial {finished.best.number}" in repr(finished)
    assert "all limits kept" in finished._repr_html_()
    fresh = Study.from_yaml(study_file, out=tmp_path / "run")
    assert "0 trials" in repr(fresh)
    assert "No trial has finished yet." in fresh._repr_html_()
    assert not (tmp_path / "run").exists(), "looking at a study begins none"


@pytest.fixture
def closed(finished, tmp_path, permissions_hold):
    """A copy of the finished run that one may read and not write."""
    run = tmp_path / "run"
    shutil.copytree(finished.folder.path, run)
    for path in (run, *run.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    with permissions_hold():
        yield run


def test_a_run_that_one_may_only_read_can_be_looked_at(closed, finished, tmp_path):
    study = Study.load(closed)
    assert study.records().keys() == finished.records().keys()
    assert study.best.number == finished.best.number
    study.refresh()
    assert len(study.trials_dataframe()) == len(finished.records())
    assert study.report(tmp_path / "report.html").is_file()
    assert (study.export(tmp_path / "exported") / "predict.py").is_file()
    with pytest.raises(RunFolderError, match=r"cannot write .*report\.html: Permission denied"):
        study.report()


def test_a_run_that_one_may_only_read_cannot_be_searched(closed, finished):
    before = {path: path.stat().st_mtime_ns for path in closed.rglob("*")}
    with pytest.raises(RunFolderError, match=r"cannot write to .*choose another folder with --out"):
        Study.load(closed).optimize(50)
    assert {path: path.stat().st_mtime_ns for path in closed.rglob("*")} == before


def test_a_storage_that_one_may_only_read_cannot_be_searched(finished, tmp_path, permissions_hold):
    run = tmp_path / "run"
    shutil.copytree(finished.folder.path, run)
    (run / "study.db").chmod(0o444)
    (run / "result.json").unlink()
    with (
        permissions_hold(),
        pytest.raises(RunFolderError, match=r"study\.db cannot be written.*--storage"),
    ):
        Study.load(run).optimize(50)
