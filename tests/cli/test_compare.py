"""Runs side by side."""

import json
import shutil

import pytest


@pytest.fixture
def runs(finished_run, tmp_path):
    """Two copies of the finished run."""
    return [shutil.copytree(finished_run[0], tmp_path / name) for name in ("one", "two")]


def test_equal_runs_do_not_differ(call, runs):
    ended = call("compare", *runs)
    assert ended.code == 0, ended.err
    assert "The studies do not differ." in ended.out
    assert "note:" not in ended.out
    document = json.loads(call("compare", *runs, "--json").out)
    assert document["differences"] == []
    one, two = document["runs"]
    assert one["finished"]
    assert one["winner"]["label"] == two["winner"]["label"]
    assert one["hypervolume"] == two["hypervolume"]
    assert one["environment"]["onnxruntime"]


def test_another_machine_and_other_versions_are_told(call, runs):
    source = json.loads((runs[1] / "source.json").read_text())
    source["environment"]["processor"] = "Another"
    (runs[1] / "source.json").write_text(json.dumps(source))
    facts = json.loads((runs[1] / "facts.json").read_text())
    facts["versions"]["onnxruntime"] = "0.1"
    (runs[1] / "facts.json").write_text(json.dumps(facts))
    document = json.loads(call("compare", *runs, "--json").out)
    differing = {entry["name"]: entry["values"][1] for entry in document["differences"]}
    assert differing == {"processor": "Another", "onnxruntime": "0.1"}
    (warning,) = document["warnings"]
    assert "different machines" in warning


def test_a_half_finished_run_is_shown_as_such(call, runs):
    (runs[1] / "result.json").unlink()
    ended = call("compare", *runs)
    assert ended.code == 0
    assert "half-finished: 3 trials, none confirmed" in ended.out
    for name in ("study.db", "study.db-wal", "study.db-shm", "facts.json", "source.json"):
        (runs[1] / name).unlink(missing_ok=True)
    assert "no trial has finished yet" in call("compare", *runs).out


@pytest.mark.parametrize("columns", [60, 160])
def test_it_fits_the_terminal_in_plain_text(call, runs, columns, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    ended = call("compare", *runs, columns=columns)
    assert max(map(len, ended.out.splitlines())) <= columns
    assert "\x1b" not in ended.out


def test_bad_input_is_refused(refused, runs):
    assert "name two or more runs" in refused("compare", runs[0])
    assert "nowhere holds no run" in refused("compare", runs[0], "nowhere")
    (runs[1] / "run.json").write_text("{")
    assert "run.json" in refused("compare", *runs)
