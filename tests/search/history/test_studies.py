"""What a study takes from the history, and what it leaves there."""

import platform

import pytest

from hamerspace import Study
from hamerspace.search.history.entry import Entry, Setting, Tried
from hamerspace.search.history.file import HistoryFile

LIMITS = {"max_size_mb": 0.0105, "max_accuracy_drop": 60.0}


@pytest.fixture(scope="module")
def study_file(write_study, tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"), constraints=LIMITS)


def test_a_study_begins_with_what_an_earlier_one_found_and_keeps_what_it_finds(
    study_file, tmp_path, own_history
):
    weights = {"backend": "openvino", "openvino.quantization": "weights_int8"}
    figures = {"latency_ratio": 0.5, "size_ratio": 0.3, "drop_points": 0.1}
    setting = Setting(
        format="onnx",
        op_families=("conv", "linear", "norm"),
        parameters=3000,
        hardware="cpu",
        machine=platform.machine(),
        gpu="",
        threads=1,
        batch_size=1,
        metric="accuracy",
        objectives=("quality", "latency", "size"),
        limits={},
    )
    earlier = Entry(
        name="earlier",
        finished="2026-01-02T03:04:05+00:00",
        identity="another",
        setting=setting,
        recipes=(Tried(parameters=weights, **figures),),
    )
    HistoryFile(own_history).add(earlier)
    study = Study.from_yaml(study_file, out=tmp_path / "run", trials=5).optimize()
    origins = [record.origin for record in study.records().values()]
    assert "history" in origins
    assert origins == sorted(origins, key=["baseline", "default", "history", "known"].index)
    (found,) = (r for r in study.records().values() if r.origin == "history")
    assert found.recipe["openvino.quantization"] == "weights_int8"
    assert "history, recipe" in study.folder.report.read_text()

    kept, own = HistoryFile(own_history).read()
    assert kept == earlier
    assert own.name == "tiny"
    assert own.setting.op_families == setting.op_families
    assert own.setting.limits == LIMITS
    best, first = study.best, own.recipes[0]
    assert first.winner
    assert first.parameters == dict(study.records()[best.number].recipe.parameters)
    assert first.size_ratio == pytest.approx(best.measurement.size_mb / study.source.size_mb)
    # The confirm split has told nothing that a search could begin with.
    searched = study.records()[best.number].measurement
    assert first.drop_points == searched.quality.drop.estimate
    assert len(own.recipes) == sum(c.rank < 2 for c in study.confirmed)
    assert str(tmp_path) not in own_history.read_text()


def test_a_study_without_data_keeps_nothing(onnx_task, tmp_path, own_history):
    study = Study.from_model(
        onnx_task / "model.onnx", out=tmp_path / "run", trials=1, backends=("onnxruntime",)
    )
    assert study.optimize().confirmed
    assert not own_history.exists()


def test_no_history_is_neither_read_nor_written(study_file, tmp_path, own_history):
    flags = {"trials": 2, "history": False}
    Study.from_yaml(study_file, out=tmp_path / "one", **flags).optimize()
    assert not own_history.exists()
    own_history.write_text("this is no history")
    Study.from_yaml(study_file, out=tmp_path / "two", **flags).optimize()
    assert own_history.read_text() == "this is no history"
