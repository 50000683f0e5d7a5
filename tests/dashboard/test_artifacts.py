import json
import shutil
from dataclasses import replace

import pytest
from optuna.artifacts.exceptions import ArtifactNotFound

from hamerspace.build.ranking import Ranking
from hamerspace.build.store import Store, default_store_folder
from hamerspace.dashboard.artifacts import RunArtifacts
from hamerspace.recipe import Recipe
from hamerspace.search.rankings import keep_ranking
from hamerspace.space.describe import recipe_label
from hamerspace.study import Study


@pytest.fixture
def study(run):
    return Study.load(run)


@pytest.fixture
def store(tmp_path):
    """A copy of the store, to evict from."""
    return Store(shutil.copytree(default_store_folder(), tmp_path / "store"))


def _named(artifacts):
    return {artifact.filename: artifact for artifact in artifacts}


def _read(artifacts, artifact):
    with artifacts.open_reader(artifact.artifact_id) as stream:
        return stream.read()


def test_a_trial_has_recipe_logs_and_the_model_that_was_built(study, store):
    artifacts, record = RunArtifacts(study.folder, store), study.records()[0]
    found = _named(artifacts.of_trial(record, winner=False, plots={}))
    assert set(found) == {"recipe.json", "build.log", "model.onnx"}
    assert json.loads(_read(artifacts, found["recipe.json"])) == json.loads(record.recipe.to_json())
    assert b"onnxruntime" in _read(artifacts, found["build.log"])
    size_mb = len(_read(artifacts, found["model.onnx"])) / 1e6
    assert size_mb == pytest.approx(record.measurement.size_mb)
    assert found["build.log"].mimetype.startswith("text/plain")


def test_looking_does_not_mark_an_entry_of_the_store_as_used(study, store):
    record = study.records()[0]
    entry = store.path(record.evaluation.key)
    before = entry.stat().st_mtime_ns
    RunArtifacts(study.folder, store).of_trial(record, winner=False, plots={})
    assert entry.stat().st_mtime_ns == before


def test_a_model_that_was_evicted_is_not_offered(study, store):
    artifacts, record = RunArtifacts(study.folder, store), study.records()[0]
    model = _named(artifacts.of_trial(record, winner=False, plots={}))["model.onnx"]
    shutil.rmtree(store.path(record.evaluation.key))
    assert not artifacts.has(model.artifact_id)
    with pytest.raises(ArtifactNotFound):
        artifacts.open_reader(model.artifact_id)
    assert "model.onnx" not in _named(artifacts.of_trial(record, winner=False, plots={}))


def test_the_winner_has_what_is_ready_to_ship(study, store):
    shutil.rmtree(store.root)
    artifacts = RunArtifacts(study.folder, store)
    found = artifacts.of_trial(study.records()[study.best.number], winner=True, plots={})
    assert {"predict.py", "model.onnx", "manifest.json", "recipe.json"} <= set(_named(found))
    assert len(found) == len(_named(found))


def test_a_study_has_its_report_and_what_is_kept_of_it(study, store):
    artifacts = RunArtifacts(study.folder, store)
    found = _named(artifacts.of_study())
    assert _read(artifacts, found["report.html"]) == study.folder.report.read_bytes()
    assert "run.json" not in found  # its storage URL may hold a password
    study.folder.report.unlink()
    assert "report.html" not in _named(artifacts.of_study())


def test_addresses_cannot_be_guessed_and_nothing_is_written(study, store):
    one, two = (RunArtifacts(study.folder, store) for _ in range(2))
    assert one.of_study()[0].artifact_id != two.of_study()[0].artifact_id
    with pytest.raises(PermissionError):
        one.remove(one.of_study()[0].artifact_id)
    with pytest.raises(PermissionError):
        one.write("00", None)


def test_a_trial_that_ranked_layers_has_the_plot_of_its_scheme(study, store):
    record = study.records()[0]
    mine = Ranking("one", {"backend": "onnxruntime"}, (("conv", 0.1),))
    other = Ranking("two", {"backend": "openvino"}, (("conv", 0.2),))
    for ranking in (mine, other):
        keep_ranking(study.folder, ranking)
    plots = {recipe_label(Recipe(r.parameters)): r.key.encode for r in (mine, other)}
    artifacts = RunArtifacts(study.folder, store)
    found = _named(artifacts.of_trial(record, winner=False, plots=plots))
    assert _read(artifacts, found["sensitivity.html"]) == b"one"


def test_nothing_outside_the_run_and_the_store_is_offered(study, store, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("precious")
    record = study.records()[0]
    entry, run = store.path(record.evaluation.key), study.folder.path
    manifest = json.loads((entry / "manifest.json").read_text())
    manifest["files"] = ["../" * 20 + str(secret)[1:], str(secret), "link", "model.onnx"]
    (entry / "manifest.json").write_text(json.dumps(manifest))
    (entry / "link").symlink_to(secret)
    (run / "best" / "link").symlink_to(secret)
    logs = run / "artifacts" / record.recipe.id / "build.log"
    for path in (run / "report.html", logs):
        path.unlink()
        path.symlink_to(secret)
    artifacts = RunArtifacts(study.folder, store)
    found = artifacts.of_study()
    for winner in (False, True):
        found += artifacts.of_trial(record, winner=winner, plots={})
    assert "model.onnx" in _named(found)
    assert all(b"precious" not in _read(artifacts, one) for one in found)
    # A file may become a link once it was offered.
    offered = next(one for one in found if one.filename == "source.json")
    (run / "source.json").unlink()
    (run / "source.json").symlink_to(secret)
    assert not artifacts.has(offered.artifact_id)
    with pytest.raises(ArtifactNotFound):
        artifacts.open_reader(offered.artifact_id)


def test_a_key_that_is_a_path_leads_nowhere(study, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    record = study.records()[0]
    built = Store(default_store_folder()).path(record.evaluation.key)
    shutil.copytree(built, other, dirs_exist_ok=True)
    hostile = replace(record, evaluation=replace(record.evaluation, key=str(other)))
    found = RunArtifacts(study.folder, Store(tmp_path / "s")).of_trial(
        hostile, winner=False, plots={}
    )
    assert "model.onnx" not in _named(found)
