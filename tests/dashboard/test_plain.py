"""What ``optuna-dashboard`` itself makes of the database of a run."""

import json

import optuna_dashboard

from hamerspace.study import Study


def _get(app, path):
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": ""}
    said = []
    body = b"".join(app(environ, lambda status, *_: said.append(status)))
    assert said == ["200 OK"], body
    return json.loads(body)


def test_it_shows_trials_objectives_and_names_but_knows_no_limits(run):
    app = optuna_dashboard.wsgi(f"sqlite:///{run / 'study.db'}")
    (study,) = _get(app, "/api/studies")["study_summaries"]
    details = _get(app, f"/api/studies/{study['study_id']}")
    assert details["name"] == "tiny"
    assert details["objective_names"] == ["quality", "latency_ms", "size_mb"]
    records = Study.load(run).records()
    assert len(details["trials"]) == len(records)
    assert {trial["state"] for trial in details["trials"]} == {"Complete"}
    for trial in details["trials"]:
        shown = {p["name"]: p["param_external_value"] for p in trial["params"]}
        recipe = records[trial["number"]].recipe.parameters
        assert shown["backend"] == recipe["backend"]
    # As docs/dashboard.md says; where these fail, it can say more.
    assert all(trial["constraints"] == [] for trial in details["trials"])
    assert all(trial["note"]["body"] == "" for trial in details["trials"])
