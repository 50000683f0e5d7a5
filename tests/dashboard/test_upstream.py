"""What is relied on in optuna-dashboard beyond its promises."""

import json

import optuna
import optuna_dashboard
import pytest
from optuna.artifacts import ArtifactMeta
from optuna.storages import InMemoryStorage
from optuna.trial import create_trial

from hamerspace._optuna import note_taker
from hamerspace.dashboard.upstream import (
    artifact_attributes,
    constraint_attributes,
    study_details,
)


@pytest.fixture
def study():
    """Trial 0 dominates the others and is infeasible; 1 dominates 2."""
    study = optuna.create_study(storage=InMemoryStorage(), directions=["minimize"] * 2)
    for value, violation in ((0.0, 0.5), (1.0, -0.1), (2.0, -0.1)):
        attributes = constraint_attributes({"builds": 0.0, "max_size_mb": violation})
        study.add_trial(create_trial(values=[value, value], system_attrs=attributes))
    return study


def _details(study, best=None):
    app = optuna_dashboard.wsgi(study._storage)
    if best is not None:
        app.install(study_details(study._storage, 0, lambda: best))
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/studies/0", "QUERY_STRING": "after=1"}
    said = []
    body = b"".join(app(environ, lambda status, *_: said.append(status)))
    assert said == ["200 OK"], body
    return json.loads(body)


def test_constraints_are_read_from_one_list(study):
    assert [trial["constraints"] for trial in _details(study)["trials"]] == [[0.0, -0.1]] * 2


def test_infeasible_trials_are_best_without_help_and_not_with_it(study):
    assert [trial["number"] for trial in _details(study)["best_trials"]] == [0]
    mended = _details(study, best=[1])
    assert [trial["number"] for trial in mended["best_trials"]] == [1]
    assert mended["best_trials"][0] == mended["trials"][0]
    assert _details(study, best=[])["best_trials"] == []


def test_figures_come_in_the_order_of_their_ids(study):
    import plotly.graph_objects as go

    names = ["4-d", "2-b", "1-a", "3-c"]
    for name in names:
        optuna_dashboard.save_plotly_graph_object(study, go.Figure(), graph_object_id=name)
    shown = [figure["id"] for figure in _details(study, best=[])["plotly_graph_objects"]]
    assert shown == sorted(names)


def test_finished_trials_take_notes(study):
    optuna_dashboard.save_note(note_taker(study, 1), "**well**")
    optuna_dashboard.save_note(note_taker(study, 1), "*better*")
    assert [trial["note"]["body"] for trial in _details(study)["trials"]] == ["*better*", ""]


def test_studies_and_finished_trials_take_artifacts(study):
    one = ArtifactMeta("aa", "report.html", "text/html", None)
    two = ArtifactMeta("bb", "a.log", "text/plain", None)
    for name, value in (artifact_attributes([one], None) | artifact_attributes([two], 2)).items():
        study._storage.set_study_system_attr(0, name, value)
    details = _details(study)
    assert [artifact["filename"] for artifact in details["artifacts"]] == ["report.html"]
    shown = [[a["filename"] for a in trial["artifacts"]] for trial in details["trials"]]
    assert shown == [[], ["a.log"]]
