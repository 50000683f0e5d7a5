"""From a model in memory or in a file to one that can be shipped, with the real runtimes."""

import numpy as np
import onnx
import pytest
import torch

from hamerspace import Constraints, OptimizationGoal, OptimizationResult, Optimizer, Study
from hamerspace.errors import ConfigError, RunFolderError

LIMITS = Constraints(target_size_mb=1.0, max_accuracy_drop=30.0)
BACKENDS = ("onnxruntime", "openvino")


def _hits(outputs, labels):
    return (outputs.argmax(axis=1) == labels).astype(np.float64)


@pytest.fixture
def optimizer(net, rows, tmp_path):
    return Optimizer.from_pytorch(net, data=rows, validate=_hits, out=tmp_path / "run")


@pytest.mark.slow
def test_a_module_in_memory_becomes_a_smaller_model(optimizer, net, rows, tmp_path, monkeypatch):
    ort = pytest.importorskip("onnxruntime")
    result = optimizer.optimize("quantize", LIMITS, trials=5, backends=BACKENDS, output=".onnx")
    assert result.succeeded
    assert result.recipe.backend == "onnxruntime"
    saved = result.save_model(tmp_path / "small.onnx")
    assert saved.winner
    assert set(saved.verdicts.values()) == {"kept"}
    outputs = ort.InferenceSession(saved.files[0]).run(None, {"image": rows[0]})[0]
    with torch.no_grad():
        own = net(torch.from_numpy(rows[0])).numpy()
    assert (outputs.argmax(1) == own.argmax(1)).mean() > 0.9

    text = str(result.report)
    for part in ("before", "after", "size at most 1 MB", "kept", "recipe: onnxruntime", "_hits"):
        assert part in text
    assert "<table" in result._repr_html_()

    # The same call goes on where it was: nothing is searched again.
    before = result.study.records()
    again = optimizer.optimize("quantize", LIMITS, trials=5, backends=BACKENDS, output=".onnx")
    assert again.study.records() == before
    with pytest.raises(RunFolderError, match="holds another study:\n  goal: quantize -> auto\n"):
        optimizer.optimize("auto", LIMITS, trials=5, backends=BACKENDS, output=".onnx")

    # What was saved is all that is needed.
    copied = result.save(tmp_path / "kept")
    assert str(OptimizationResult.load(copied).report) == text
    with pytest.raises(RunFolderError, match="is there already"):
        result.save(copied)
    with pytest.raises(ConfigError, match=r"no candidate in this format.*run on onnxruntime"):
        result.save_model(tmp_path / "small.xml")
    folder = result.save_model(tmp_path / "folder").files[0].parent
    assert (folder / "predict.py").is_file()


def test_what_the_winner_is_not_in_is_the_best_that_is(write_study, tmp_path, caplog):
    study = Study.from_yaml(
        write_study(
            tmp_path / "study",
            constraints={"max_accuracy_drop": 20.0},
            objectives=["quality", "size"],
            budget={"trials": 5},
        ),
        out=tmp_path / "run",
    ).optimize()
    result = OptimizationResult.load(study.folder.path)
    winner = result.recipe.backend
    other, suffix = {"onnxruntime": ("openvino", ".xml"), "openvino": ("onnxruntime", ".onnx")}[
        winner
    ]
    saved = result.save_model(tmp_path / f"model{suffix}")
    assert not saved.winner
    assert saved.recipe.backend == other
    assert "is not the winner but the best in its format" in caplog.text


def test_a_search_that_cannot_start_leaves_nothing(optimizer, tmp_path):
    with pytest.raises(ConfigError, match="goal 'distill': nothing of it is possible"):
        optimizer.optimize(OptimizationGoal.DISTILL, LIMITS, trials=2, backends=BACKENDS)
    assert list(tmp_path.iterdir()) == []


def test_nothing_feasible_is_told_and_saves_no_model(onnx_task, tmp_path):
    optimizer = Optimizer.from_onnx(
        onnx_task / "model.onnx", data=onnx_task / "data.npz", out=tmp_path / "run"
    )
    limits = Constraints(max_size_mb=1e-6)
    result = optimizer.optimize("quantize", limits, trials=2, backends=("onnxruntime",))
    assert not result.succeeded
    assert "nearest" in str(result.report)
    with pytest.raises(ConfigError, match="no model to save"):
        result.save_model(tmp_path / "folder")
    with pytest.raises(ConfigError, match="no candidate in this format keeps the limits"):
        result.save_model(tmp_path / "model.onnx")


def test_what_is_in_memory_is_there_for_the_run_that_was_set_aside_too(onnx_task, tmp_path):
    with np.load(onnx_task / "data.npz") as archive:
        data = dict(archive)
    model = onnx.load(onnx_task / "model.onnx")
    optimizer = Optimizer.from_onnx(model, data=data, out=tmp_path / "run")
    few = {"trials": 1, "backends": ("onnxruntime",)}
    optimizer.optimize(constraints=Constraints(max_size_mb=1.0), **few)
    optimizer.optimize(constraints=Constraints(max_size_mb=2.0), force=True, **few)
    for name in ("run", "run.before-1"):
        study = Study.load(tmp_path / name)
        assert study.loaded.source_path.is_file()
        assert study.export(tmp_path / "exported" / name, 0).is_dir()


def test_a_configuration_is_saved_and_loaded(onnx_task, tmp_path):
    model = onnx.load(onnx_task / "model.onnx")
    with np.load(onnx_task / "data.npz") as archive:
        data = dict(archive)
    path = Optimizer.from_onnx(model, data=data, name="mine").save_config(
        tmp_path / "study.yaml", "quantize", LIMITS
    )
    again = Optimizer.from_config(path, out=tmp_path / "run")
    assert again.name == "mine"
    loaded = Study.from_yaml(path).loaded
    assert loaded.config.goal == "quantize"
    assert loaded.config.constraints.max_size_mb == 1.0
    assert loaded.source_path.is_file()
    assert loaded.data_path.is_file()


def test_a_function_cannot_be_saved_in_a_configuration(optimizer, tmp_path):
    with pytest.raises(ConfigError, match="metric='module:function'"):
        optimizer.save_config(tmp_path / "study.yaml")


@pytest.mark.parametrize(
    ("hardware", "space", "threads"), [("cpu", "auto", 1), ("edge", "edge", 1), ("arm", "arm", 1)]
)
def test_hardware_chooses_space_and_target(hardware, space, threads, onnx_task, tmp_path):
    limits = Constraints(target_hardware=hardware)
    path = Optimizer.from_onnx(onnx_task / "model.onnx").save_config(
        tmp_path / "study.yaml", constraints=limits
    )
    config = Study.from_yaml(path).loaded.config
    assert (config.space, config.target.threads) == (space, threads)
    assert (config.objectives[0].value == "size") == (hardware == "edge")


def test_a_gpu_that_is_not_there_is_a_clear_error(onnx_task, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    optimizer = Optimizer.from_onnx(onnx_task / "model.onnx", out=tmp_path / "run")
    with pytest.raises(Exception, match=r"(?i)cuda"):
        optimizer.optimize(constraints=Constraints(target_hardware="gpu"), trials=1)


def test_a_torchscript_file_takes_a_shape_without_a_name(net, rows, tmp_path):
    torch.jit.trace(net, torch.from_numpy(rows[0][:2])).save(tmp_path / "model.pt")
    optimizer = Optimizer.from_pytorch(
        tmp_path / "model.pt", input_shape=[1, 3, 16, 16], out=tmp_path / "run"
    )
    result = optimizer.optimize("quantize", trials=2, backends=("onnxruntime",))
    assert result.study.run_data().source.description["inputs"] == "image: float32[?, 3, 16, 16]"


@pytest.mark.parametrize(
    ("make", "model", "message"),
    [
        (Optimizer.from_pytorch, 3, "a int is no torch.nn.Module and no path"),
        (Optimizer.from_onnx, 3, "no onnx.ModelProto"),
        (Optimizer.from_keras, 3, "no keras.Model"),
    ],
)
def test_what_is_no_model_is_refused(make, model, message):
    with pytest.raises(ConfigError, match=message):
        make(model)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"goal": "prun"}, "unknown goal 'prun'"),
        ({"constraints": {"max_size_mb": 1}}, "such as Constraints.*, not a dict"),
        ({"backends": "openvino"}, r"such as \['openvino'\], not one text"),
        ({}, "no such file"),
        ({"output": ".zip"}, r"saved as '\.zip' files here"),
        ({"output": ".xml", "backends": ("onnxruntime",)}, "none of onnxruntime builds .xml"),
    ],
)
def test_wrong_arguments_are_told_before_any_work(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        Optimizer.from_onnx("a.onnx").optimize(**arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_module_whose_input_nothing_tells_is_refused(net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="nothing tells the shape of image"):
        Optimizer.from_pytorch(net).optimize(trials=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_narrower_keras_model_is_saved_as_keras(tmp_path):
    from tests import keras_models

    keras, rng = keras_models.keras, np.random.default_rng(0)
    model = keras.Sequential(
        [keras.Input((8,), name="x"), keras.layers.Dense(32, "relu"), keras.layers.Dense(3)]
    )
    x = rng.random((240, 8), np.float32)
    y = np.asarray(model(x)).argmax(axis=1)
    splits = {"train": slice(0, 120), "search": slice(120, 180), "confirm": slice(180, 240)}
    data = {name: {"x": x[rows], "labels": y[rows]} for name, rows in splits.items()}
    space = tmp_path / "space.yaml"
    space.write_text(
        "{name: mine, parameters: {backend: [litert], student.width: [1.0, 0.5], "
        "student.epochs: 2}}"
    )
    optimizer = Optimizer.from_keras(model, data=data, out=tmp_path / "run")
    result = optimizer.optimize("distill", trials=4, space=space, output=".keras")
    saved = result.save_model(tmp_path / "student.keras")
    assert saved.recipe["student.width"] == 0.5
    student = keras.saving.load_model(saved.files[0])
    assert student.count_params() < model.count_params()
    assert student(x).shape == (240, 3)


def test_limits_leave_the_rest_of_a_study_file_alone(write_study, tmp_path):
    path = write_study(tmp_path / "study")
    copy = Optimizer.from_config(path).save_config(
        tmp_path / "copy.yaml", constraints=Constraints(max_size_mb=5)
    )
    before, after = Study.from_yaml(path).loaded, Study.from_yaml(copy).loaded
    assert after.space_path == before.space_path
    assert after.config.constraints.max_size_mb == 5


def test_a_folder_in_use_is_told_and_left_alone(optimizer, tmp_path):
    from hamerspace.search.run_folder import RunFolder

    folder = RunFolder(tmp_path / "run")
    with folder.held():
        folder.inputs.mkdir()
        (folder.inputs / "theirs.npz").write_text("")
        with pytest.raises(RunFolderError, match="another search is running"):
            optimizer.optimize("quantize", LIMITS, trials=1, backends=BACKENDS)
        assert [path.name for path in folder.inputs.iterdir()] == ["theirs.npz"]


def test_a_configuration_lies_beside_the_modules_that_it_names(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("def build(): ...\n")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    optimizer = Optimizer.from_pytorch("mine:build", [1, 3])
    assert optimizer.save_config("study.yaml").is_file()
    with pytest.raises(ConfigError, match=r"a study's modules start from its own folder"):
        optimizer.save_config("elsewhere/study.yaml")
