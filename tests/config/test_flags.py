import pytest

from hamerspace.config.flags import (
    backend_names,
    merged,
    override,
    study_from_flags,
)
from hamerspace.config.loading import load_study
from hamerspace.errors import ConfigError
from hamerspace.quantities import Objective


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "my model.onnx").touch()
    (tmp_path / "eval.npz").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_flags_that_are_not_given_leave_those_before():
    assert merged({"space": "edge", "seed": 1}, {"space": None, "seed": 2}) == {
        "space": "edge",
        "seed": 2,
    }


def test_a_study_from_flags(folder):
    loaded = study_from_flags(
        "my model.onnx",
        inputs=["image:0=?x3x8x8", "mask=1x8:int64"],
        data="eval.npz",
        space="cpu",
        objectives=["size"],
        max_size_mb=2,
        trials=None,
    )
    config = loaded.config
    assert config.name == "my-model"
    assert config.task.source.inputs["image:0"].shape == (None, 3, 8, 8)
    assert config.task.source.inputs["mask"].dtype == "int64"
    assert config.objectives == (Objective.SIZE,)
    assert config.constraints.max_size_mb == 2.0
    assert config.budget.trials == 40
    assert loaded.source_path == folder / "my model.onnx"
    assert loaded.data_path == folder / "eval.npz"


def test_functions_in_place_of_files(folder):
    config = study_from_flags("task:build", data="task:load", labels="y").config
    assert config.name == "task"
    assert config.task.source.builder == "task:build"
    assert config.task.data.load == "task:load"
    assert config.task.data.labels == "y"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"max_size_mb": -1.0}, "--max-size-mb: must be above 0, not -1.0"),
        ({"max_latency_ms": float("nan")}, "--max-latency-ms: must be a finite number"),
        ({"trials": 0}, "--trials: must be at least 1, not 0"),
        ({"sampler": "tpee"}, "--sampler: must be"),
        ({"objectives": ["size", "size"]}, "--objectives: names 'size' twice"),
        ({"objectives": ["sise"]}, "--objectives: must be"),
        ({"data": "gone.npz"}, "--data: no such file"),
        ({"space": "gone.yaml"}, "--space: no such file"),
        ({"labels": "y"}, "--labels: there are no data"),
        ({"weights": "w.safetensors"}, "--weights: 'weights' belong to a 'builder'"),
        ({"seed": 2**32}, "--seed: must be at most 4294967295, not 4294967296"),
        ({"max_size": 1}, "unknown argument 'max_size'; did you mean 'max_size_mb'?"),
        ({"n_trials": None}, "unknown argument 'n_trials'; did you mean 'trials'?"),
        ({"inputs": ["x"]}, "--input: 'x' is not of the form"),
        ({"inputs": ["x=1xq"]}, "--input: 'x=1xq' is not of the form"),
        ({"inputs": ["x=0x3"]}, "--input: must be at least 1, not 0"),
        ({"inputs": ["x=1:float31"]}, "--input: must be 'float16'"),
    ],
)
def test_messages_name_the_flag(folder, flags, words):
    with pytest.raises(ConfigError) as error:
        study_from_flags("my model.onnx", **flags)
    assert str(error.value).startswith(words)


@pytest.mark.parametrize(
    ("backends", "words"),
    [("openvino", "names in a list, such as ['openvino'], not one text"), ((), "is empty")],
)
def test_backends_are_several_names(backends, words):
    with pytest.raises(ConfigError) as error:
        backend_names(backends)
    assert words in str(error.value)
    assert backend_names(["openvino"]) == ("openvino",)


def test_a_missing_model_is_named(folder):
    with pytest.raises(ConfigError, match="model: no such file"):
        study_from_flags("gone.onnx")


def test_every_wrong_flag_is_listed(folder):
    with pytest.raises(ConfigError) as error:
        study_from_flags("my model.onnx", trials=0, threads=0)
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == [
        "--trials",
        "--threads",
    ]


STUDY = """\
name: digits
task: {source: {path: model.onnx}, data: {load: "task:load", labels: y}}
constraints: {max_size_mb: 10, max_latency_ms: 5}
"""


@pytest.fixture
def study(folder):
    (folder / "study").mkdir()
    (folder / "study" / "model.onnx").touch()
    (folder / "study" / "study.yaml").write_text(STUDY)
    return load_study(folder / "study" / "study.yaml")


def test_flags_win_over_the_file_and_leave_the_rest(study):
    changed = override(study, max_size_mb=3.0, trials=7, seed=None, trust_pickle=True)
    assert changed.config.constraints.max_size_mb == 3.0
    assert changed.config.constraints.max_latency_ms == 5.0
    assert changed.config.budget.trials == 7
    assert changed.trust_pickle
    assert changed.file == study.file
    assert study.config.constraints.max_size_mb == 10.0


def test_no_flags_change_nothing(study):
    assert override(study) == study


def test_paths_in_flags_start_from_the_current_folder(study, folder):
    changed = override(study, data="eval.npz")
    assert changed.data_path == folder / "eval.npz"
    assert changed.config.task.data.load is None
    assert changed.config.task.data.labels == "y"
    assert changed.source_path == folder / "study" / "model.onnx"


def test_a_wrong_flag_over_a_file(study):
    with pytest.raises(ConfigError, match=r"^--batch-size: must be at least 1, not 0$"):
        override(study, batch_size=0)
