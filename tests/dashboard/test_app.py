"""The served run, as a page asks for it."""

import pytest
import yaml

from hamerspace.study import Study
from tests.dashboard.conftest import ask

ERRORS = """
def errors(outputs, labels):
    return float((outputs.argmax(axis=1) != labels).mean())
"""


def _details(address):
    return ask(f"{address}/api/studies/0").json


def test_a_page_gets_everything(serve, finished):
    address, study = serve(finished), Study.load(finished)
    details = _details(address)
    assert details["objective_names"] == ["quality", "latency_ms", "size_mb"]
    assert [trial["number"] for trial in details["best_trials"]] == list(study.front())
    assert [figure["id"] for figure in details["plotly_graph_objects"]] == [
        "1-front",
        "2-hypervolume",
        "3-gates",
    ]
    assert "report.html" in [artifact["filename"] for artifact in details["artifacts"]]
    assert study.records()[study.best.number].recipe.backend in details["note"]["body"]
    for number, record in study.records().items():
        trial = details["trials"][number]
        assert trial["constraints"] == list(record.violations.values())
        assert "### Recipe" in trial["note"]["body"]
        assert f"--trial {number} --output" in trial["note"]["body"]
        assert "recipe.json" in [artifact["filename"] for artifact in trial["artifacts"]]
    assert ask(f"{address}/").status == 200


def test_artifacts_can_be_downloaded(serve, finished):
    address = serve(finished)
    winner = _details(address)["trials"][Study.load(finished).best.number]
    for artifact in winner["artifacts"]:
        got = ask(f"{address}/artifacts/0/{winner['trial_id']}/{artifact['artifact_id']}")
        assert got.status == 200
        assert got.body
        if artifact["filename"] == "model.onnx":
            assert got.body == (finished / "best" / "model.onnx").read_bytes()
    gone = ask(f"{address}/artifacts/0/{winner['trial_id']}/00ff")
    assert gone.status == 404
    assert "hamerspace export" in gone.json["reason"]


def test_a_page_of_the_run_cannot_act_as_the_dashboard(serve, run):
    (run / "report.html").write_text("<script>fetch('/api/studies')</script>")
    address = serve(run)
    (report,) = (a for a in _details(address)["artifacts"] if a["filename"] == "report.html")
    got = ask(f"{address}/artifacts/0/{report['artifact_id']}")
    policy = got.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-scripts;")  # and not allow-same-origin
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" not in str(ask(f"{address}/dashboard/studies/0").headers)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/studies/0"),
        ("POST", "/api/studies"),
        ("PUT", "/api/studies/0/note"),
        ("POST", "/api/studies/0/rename"),
    ],
)
def test_nothing_can_be_changed(serve, finished, method, path):
    address = serve(finished)
    before = _details(address)
    refused = ask(address + path, method)
    assert refused.status == 405
    assert "reading only" in refused.json["reason"]
    after = _details(address)
    for key in ("name", "trials", "note", "artifacts"):
        assert after[key] == before[key]


def test_names_that_are_not_of_this_machine_get_no_answer(serve, finished):
    address = serve(finished)
    assert ask(f"{address}/api/studies", Host="pages.example").status == 403
    assert ask(f"{address}/api/studies", Host="localhost:1").status == 200


def test_a_page_that_is_loaded_again_shows_what_came_meanwhile(serve, run, study_file, monkeypatch):
    monkeypatch.setattr("hamerspace.dashboard.app._AT_MOST_EVERY_S", 0.0)
    address = serve(run)
    before = _details(address)
    trials = len(before["trials"]) + 1
    Study.from_yaml(study_file, out=run).optimize(n_trials=trials)
    after = _details(address)
    assert len(after["trials"]) == trials
    assert after["trials"][-1]["note"]["body"]
    assert after["plotly_graph_objects"] != before["plotly_graph_objects"]


def test_a_half_finished_run_shows_what_there_is(serve, run):
    (run / "result.json").unlink()
    details = _details(serve(run))
    assert details["trials"]
    assert "none is confirmed yet" in details["note"]["body"]


def test_a_run_without_trials_is_taken_up_once_there_are_some(
    serve, write_study, tmp_path, monkeypatch
):
    """Also where less of the metric is better, which nobody knows before the task is read."""
    monkeypatch.setattr("hamerspace.dashboard.app._AT_MOST_EVERY_S", 0.0)
    quality = {"metric": "task:errors", "direction": "minimize"}
    study = write_study(tmp_path / "study", budget={"trials": 1})
    content = yaml.safe_load(study.read_text())
    content["task"]["quality"] = quality
    study.write_text(yaml.safe_dump(content))
    (study.parent / "task.py").write_text(ERRORS)
    run = tmp_path / "run"
    Study.from_yaml(study, out=run).optimize()
    hidden = {}
    for name in ("facts.json", "study.db", "result.json", "source.json"):
        hidden[name] = (run / name).read_bytes()
        (run / name).unlink()
    address = serve(run)
    details = _details(address)
    assert details["trials"] == details["best_trials"] == []
    assert "No trial has finished yet." in details["note"]["body"]
    for name, content in hidden.items():
        (run / name).write_bytes(content)
    details = _details(address)
    assert details["directions"][0] == "minimize"
    assert [trial["number"] for trial in details["best_trials"]] == [0]


def test_a_run_that_can_no_longer_be_read_is_shown_as_it_was(serve, run, monkeypatch, caplog):
    monkeypatch.setattr("hamerspace.dashboard.app._AT_MOST_EVERY_S", 0.0)
    address = serve(run)
    before = _details(address)
    (run / "result.json").write_text("{")
    assert _details(address)["note"] == before["note"]
    assert "shows what was read before" in caplog.text
