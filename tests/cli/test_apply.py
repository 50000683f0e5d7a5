"""A recipe from elsewhere is held against the model, then built and exported."""

import json
import re
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hamerspace.errors import SourceSessionError
from hamerspace.targets import Measurer
from tests import onnx_models
from tests.backends.onnxruntime.test_operators import upsampling


@pytest.fixture
def recipe(tmp_path):
    """``recipe(**parameters)`` writes a recipe.json."""

    def write(backend="onnxruntime", **parameters):
        named = {key.replace("__", "."): value for key, value in parameters.items()}
        path = tmp_path / "recipe.json"
        path.write_text(
            json.dumps({"schema_version": 1, "parameters": {"backend": backend, **named}})
        )
        return path

    return write


def test_the_winner_of_a_run_comes_out_the_same(call, finished_run, tmp_path):
    run, _ = finished_run
    study = run.parent / "study.yaml"
    ended = call("apply", run, study, "--output", tmp_path / "new", "--seed", 1, "--json")
    assert ended.code == 0, ended.err
    document = json.loads(ended.out)
    best = json.loads((run / "best" / "recipe.json").read_text())
    assert document["parameters"] == best["parameters"]
    assert document["measurement"] is None
    for name in ("recipe.json", "model.onnx", "predict.py"):
        again = (tmp_path / "new" / name).read_bytes()
        assert again == (run / "best" / name).read_bytes()
    assert not (tmp_path / "new" / "measurement.json").exists()


def test_the_result_is_measured_and_runs(call, recipe, onnx_task, tmp_path):
    ended = call(
        *("apply", recipe(onnxruntime__quantization="dynamic_int8"), onnx_task / "model.onnx"),
        *("--data", onnx_task / "data.npz", "--output", tmp_path / "new", "--measure"),
    )
    assert ended.code == 0, ended.err
    assert "latency " in ended.out
    assert "accuracy " in ended.out
    measurement = json.loads((tmp_path / "new" / "measurement.json").read_text())
    assert measurement["size_mb"] > 0
    assert measurement["latency"]["processes"] == 5
    with np.load(onnx_task / "data.npz") as data:
        np.savez(tmp_path / "in.npz", image=data["image"][:2])
    subprocess.run(
        [sys.executable, tmp_path / "new" / "predict.py", "in.npz", "out.npz"],
        check=True,
        cwd=tmp_path,
    )
    with np.load(tmp_path / "out.npz") as outputs:
        assert outputs["logits"].shape == (2, 5)


def test_what_stays_in_float_is_told(call, recipe, tmp_path):
    source = upsampling(tmp_path / "source")
    np.savez(tmp_path / "data.npz", **onnx_models.inputs(source, 80))
    given = recipe(onnxruntime__quantization="static_int8")
    model = ("apply", given, source.folder / "model.onnx", "--data", tmp_path / "data.npz")
    ended = call(*model, "--output", tmp_path / "new")
    assert ended.code == 0, ended.err
    assert "note: Layers are left in float, as they cannot be quantised: up.\n" in ended.out


def test_what_is_not_quantised_is_named_by_its_precision(call, recipe, tmp_path):
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, ["n", 3])],
        [numpy_helper.from_array(np.ones((4, 3)), "w")],
    )
    model, opsets = tmp_path / "model.onnx", [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), model)
    ended = call("apply", recipe(), model, "--output", tmp_path / "new", "--json")
    assert ended.code == 0, ended.err
    document = json.loads(ended.out)
    assert document["label"] == "onnxruntime fp64"
    assert document["warnings"] == []  # nothing was calibrated or measured with random inputs


def test_what_was_built_stays_where_a_fresh_pair_of_processes_fails(
    call, recipe, onnx_task, tmp_path, monkeypatch
):
    def fail(*_, **__):
        raise SourceSessionError("block: took longer than 300 s")

    monkeypatch.setattr(Measurer, "time_afresh", fail)
    ended = call(
        *("apply", recipe(), onnx_task / "model.onnx", "--data", onnx_task / "data.npz"),
        *("--output", tmp_path / "new", "--measure", "--json"),
    )
    assert ended.code == 0, ended.err
    document = json.loads(ended.out)
    assert document["measurement"]["latency"]["processes"] == 1
    (text,) = [t for t in document["warnings"] if t.startswith("TIMED IN ONE PROCESS")]
    assert "block: took longer" in text
    assert (tmp_path / "new" / "model.onnx").is_file()


def test_a_drop_in_percent_of_the_source_is_told_as_one(call, recipe, onnx_task, tmp_path):
    with np.load(onnx_task / "data.npz") as data:
        images = data["image"]
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", image=images, labels=rng.random((len(images), 5)))
    ended = call(
        *("apply", recipe(), onnx_task / "model.onnx", "--data", tmp_path / "data.npz"),
        *("--metric", "rmse", "--output", tmp_path / "new", "--measure"),
    )
    assert ended.code == 0, ended.err
    assert re.search(r"rmse [\d.]+ \(drop [\d.]+ % \[", ended.out), ended.out


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"onnxruntime__quantisation": "none"}, "did you mean 'onnxruntime.quantization'?"),
        ({"openvino__preset": "mixed"}, "belongs to the backend 'openvino'"),
        ({"onnxruntime__quantization": "int9"}, "it can be none, static_int8"),
        ({"onnxruntime__fusion": "transformer"}, "fusion needs attention; the model has none"),
        ({"onnxruntime__block_size": 32}, "does nothing here; it is active only where"),
        ({"backend": "onnxrt"}, "did you mean 'onnxruntime'?"),
        ({"prune__ratio": 0.3, "recover__method": "distill"}, "there is no train split"),
        (
            {"onnxruntime__quantization": ["none"]},
            "onnxruntime.quantization' should be a valid string",
        ),
    ],
)
def test_what_cannot_be_built_is_named(refused, recipe, onnx_task, tmp_path, parameters, said):
    message = refused(
        *("apply", recipe(**parameters), onnx_task / "model.onnx"),
        *("--data", onnx_task / "data.npz", "--output", tmp_path / "new"),
    )
    assert said in message
    assert not (tmp_path / "new").exists()


def test_calibration_without_data_is_refused(refused, recipe, onnx_task, tmp_path):
    static = recipe(onnxruntime__quantization="static_int8")
    message = refused("apply", static, onnx_task / "model.onnx", "--output", tmp_path / "new")
    assert "needs calibration data (onnxruntime.quantization static_int8)" in message
    assert "--data" in message


def test_what_is_no_recipe_is_named(refused, finished_run, onnx_task, tmp_path):
    model, output = onnx_task / "model.onnx", ("--output", tmp_path / "new")
    assert "missing.json: no such file" in refused("apply", "missing.json", model, *output)
    assert "there is no recipe.json in it" in refused("apply", tmp_path, model, *output)
    for text in ("", "[]", "{}", '{"schema_version": 9, "parameters": {}}'):
        file = tmp_path / "odd.json"
        file.write_text(text)
        assert str(file) in refused("apply", file, model, *output)
    said = refused("apply", model, model, *output)  # the two arguments in the wrong order
    assert "is no recipe; give a recipe.json, or the folder of a run, before the model" in said
    half = tmp_path / "half"
    half.mkdir()
    (half / "run.json").write_text("{}")
    assert "this run has no winner" in refused("apply", half, model, *output)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "notes.txt").write_text("mine")
    best = finished_run[0] / "best"
    assert "is there already" in refused("apply", best, model, "--output", taken)


def test_a_build_that_takes_too_long_is_refused_at_once_and_what_goes_on_is_told(
    call, recipe, onnx_task, tmp_path
):
    given = recipe(onnxruntime__quantization="dynamic_int8", onnxruntime__per_channel=True)
    ended = call(
        *("apply", given, onnx_task / "model.onnx", "--data", onnx_task / "data.npz"),
        *("--output", tmp_path / "new", "--measure", "--seed", 77, "--build-timeout", 0.001),
    )
    assert ended.code == 2
    assert "took longer than 0.001 s" in ended.err
    assert "reading the model and the data ..." in ended.err
    assert "Traceback" not in ended.err
