"""What a finished, a half-finished and a damaged run show."""

import json
import shutil
import subprocess

import numpy as np
import pytest
import yaml

from tests import onnx_models
from tests.backends.onnxruntime.test_operators import upsampling
from tests.command_line import PROGRAM


@pytest.fixture
def run(finished_run, tmp_path):
    """A copy of the finished run."""
    return shutil.copytree(finished_run[0], tmp_path / "run")


def test_a_search_ends_with_source_and_winner_in_one_line(finished_run):
    folder, ended = finished_run
    last = ended.out.splitlines()[-1]
    assert last.startswith("source ")
    assert " -> winner " in last
    assert last.endswith(")")
    assert f"winner: {folder / 'best'}" in ended.out
    assert "trial 2 (3/3)" in ended.err
    assert "Warning" not in ended.err


@pytest.mark.parametrize("columns", [40, 60, 100, 160])
def test_figures_fit_the_terminal_and_never_wrap(call, run, columns):
    ended = call("show", run, columns=columns)
    assert ended.code == 0
    *lines, _last = ended.out.splitlines()
    long = [line for line in lines if len(line) > columns and str(run) not in line]
    assert long == []
    models = [line for line in lines if line.startswith(("source", "onnxruntime", "openvino"))]
    assert len(models) > 2
    rest = "\n".join(lines[lines.index(models[0]) :])
    assert " ms" in rest
    assert " MB" in rest


def test_json_is_one_document(call, run):
    ended = call("show", run, "--json")
    document = json.loads(ended.out)
    assert ended.err == ""
    assert len(document["trials"]) == 3
    assert document["winner"]["winner"]
    for command in (["backends"], ["spaces"]):
        json.loads(call(*command, "--json").out)


def test_a_reader_that_goes_away_is_no_error(run):
    for flags in ([], ["--json"]):
        program = subprocess.Popen(
            [*PROGRAM, "show", str(run), *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        program.stdout.close()
        assert program.stderr.read() == ""
        program.stderr.close()
        assert program.wait(30) in (0, 1)


def test_a_half_finished_run_shows_what_there_is(call, run):
    (run / "result.json").unlink()
    ended = call("show", run)
    assert ended.code == 0
    assert "none is confirmed yet" in ended.out
    assert "; not finished." in ended.out
    assert "stopped because" not in ended.out
    for name in ("study.db", "study.db-wal", "study.db-shm", "facts.json", "source.json"):
        (run / name).unlink(missing_ok=True)
    ended = call("show", run)
    assert ended.code == 0
    assert "No trial has finished yet." in ended.out
    assert not (run / "study.db").exists()
    assert json.loads(call("show", run, "--json").out)["trials"] == []
    assert "search first" in call("export", run, "--output", run.parent / "new").err


def test_what_stays_in_float_is_told_of_its_trial(call, tmp_path):
    source = upsampling(tmp_path / "source")
    np.savez(tmp_path / "data.npz", **onnx_models.inputs(source, 80))
    parameters = {"backend": ["onnxruntime"], "onnxruntime.quantization": ["static_int8"]}
    space = {"version": 1, "name": "small", "parameters": parameters}
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(space))
    run, model = tmp_path / "run", source.folder / "model.onnx"
    search = ("search", model, "--data", tmp_path / "data.npz", "--space", tmp_path / "space.yaml")
    assert call(*search, "--trials", 1, "--out", run).code in (0, 3, 4)
    shown = json.loads(call("show", run, "--json").out)
    assert any("left in float, as they" in trial["reason"] for trial in shown["trials"])


def test_only_what_warns_is_shown_as_a_warning(call, run):
    facts = json.loads((run / "facts.json").read_text())
    facts |= {"notes": ["ONNX opset 8 was raised."], "warnings": ["the data are a stand-in"]}
    (run / "facts.json").write_text(json.dumps(facts))
    told = call("show", run).out.splitlines()
    assert "note: ONNX opset 8 was raised." in told
    assert told[0] == "warning: the data are a stand-in"


@pytest.mark.parametrize("where", ["head", "tail"])
def test_a_damaged_database_is_named(call, run, where):
    database = run / "study.db"
    for name in ("study.db-wal", "study.db-shm"):
        (run / name).unlink(missing_ok=True)
    whole = database.read_bytes()
    noise = b"\x07" * 9000
    database.write_bytes(noise + whole[9000:] if where == "head" else whole[:8192])
    ended = call("show", run)
    assert ended.code == 2
    assert "study.db" in ended.err
    assert "Traceback" not in ended.err
    assert "--out" in ended.err


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"study": {}}'])
def test_a_damaged_run_file_is_named(call, run, text):
    (run / "run.json").write_text(text)
    ended = call("show", run)
    assert ended.code == 2
    assert "run.json" in ended.err


def test_a_search_refuses_the_folder_of_another_study(call, run, onnx_task):
    before = {path: path.stat().st_mtime_ns for path in run.iterdir() if path.name != ".lock"}
    ended = call("search", onnx_task / "model.onnx", "--out", run)
    assert ended.code == 2
    assert "holds another study:\n  " in ended.err
    assert "  constraints.max_accuracy_drop: 20 -> not set\n" in ended.err
    assert "--force" in ended.err
    assert {p: p.stat().st_mtime_ns for p in run.iterdir() if p.name != ".lock"} == before


def test_force_sets_the_earlier_run_aside_and_says_where(call, run, onnx_task, own_history, caplog):
    own_history.write_text("nobody looks at it")
    model = ("search", onnx_task / "model.onnx", "--data", onnx_task / "data.npz", "--out", run)
    few = ("--backends", "onnxruntime", "--trials", "1", "--no-history")
    ended = call(*model, *few, "--force")
    assert ended.code in (0, 4), ended.err  # whether it is any faster is the machine's matter
    aside = run.with_name("run.before-1")
    assert f"the earlier run was set aside: {aside}" in caplog.text
    assert "\ntrial 0 (1/1)" in ended.err
    assert len(json.loads(call("show", aside, "--json").out)["trials"]) == 3
    assert len(json.loads(call("show", run, "--json").out)["trials"]) == 1
    assert own_history.read_text() == "nobody looks at it"


def test_force_does_not_touch_trials_that_others_may_share(call, onnx_task, tmp_path):
    model = ("search", onnx_task / "model.onnx", "--data", onnx_task / "data.npz")
    few = ("--backends", "onnxruntime", "--trials", "1", "--out", tmp_path / "run")
    shared = ("--storage", f"sqlite:///{tmp_path / 'shared.db'}")
    assert call(*model, *few, *shared).code in (0, 4)
    ended = call(*model, *few, *shared, "--max-size-mb", "1", "--force")
    assert ended.code == 2
    assert "constraints.max_size_mb: not set -> 1" in ended.err
    assert "give this study another name, or another --storage" in ended.err
    assert not (tmp_path / "run.before-1").exists()
    ended = call(*model, *few, "--max-size-mb", "1", "--force")
    assert ended.code in (0, 4), ended.err
    assert (tmp_path / "run.before-1").is_dir()


def test_export_refuses_what_is_not_there_and_what_is(call, run, tmp_path):
    ended = call("export", run, "--output", tmp_path / "new", "--trial", 99)
    assert ended.code == 2
    assert "no finished trial 99; finished are 0 to 2" in ended.err
    assert not (tmp_path / "new").exists()
    ended = call("export", run, "--output", run)
    assert ended.code == 2
    assert "is there already" in ended.err
    ended = call("export", run, "--output", "/proc/nowhere/x")
    assert ended.code == 2
    assert "/proc/nowhere" in ended.err
    assert ".new" not in ended.err
    assert "choose another" in ended.err
    assert "Traceback" not in ended.err
    (tmp_path / "file").write_text("")
    ended = call("export", run, "--output", tmp_path / "file" / "x")
    assert ended.code == 2
    assert f"{tmp_path / 'file'} is no folder; name another place" in ended.err


def test_export_and_benchmark_of_the_winner(call, run, tmp_path):
    ended = call("export", run, "--output", tmp_path / "new", "--json")
    assert ended.code == 0, ended.err
    assert "predict.py" in json.loads(ended.out)["files"]
    ended = call("benchmark", tmp_path / "new", "--json")
    assert ended.code == 0, ended.err
    document = json.loads(ended.out)
    assert document["measurement"]["size_mb"] > 0
    assert (document["batch_size"], document["threads"]) == (1, 1)
    ended = call("benchmark", tmp_path / "new", "--batch-size", 2)
    assert "runs on onnxruntime, batch size 2, 1 thread; " in ended.out
    ended = call("benchmark", tmp_path / "new", "--metric", "accuracy")
    assert ended.code == 2
    assert "--metric: is for a model" in ended.err


def test_nothing_feasible_shows_the_nearest_and_saves_them(call, write_study, tmp_path):
    study = write_study(
        tmp_path / "study", constraints={"max_latency_ms": 1e-6}, budget={"trials": 2}
    )
    ended = call("search", study, "--out", tmp_path / "run")
    assert ended.code == 3
    assert "nearest: trial " in ended.out
    assert "latency" in ended.out.splitlines()[-1]
    assert (tmp_path / "run" / "result.json").is_file()
    assert (tmp_path / "run" / "report.html").is_file()
    assert call("show", tmp_path / "run").out == ended.out
