"""A new study runs as it stands, and nothing of the user's is written over."""

import json
import runpy

import numpy as np
import pytest

from hamerspace.config.loading import load_study


def searched(call, study):
    ended = call("search", study, "--space", "quick", "--trials", 3)
    assert ended.code in (0, 4), ended.err  # so few trials may find nothing better than the source
    return ended.out


def test_of_an_onnx_model(call, onnx_task, tmp_path):
    ended = call("init", onnx_task / "model.onnx")
    assert ended.code == 0, ended.err
    assert "inputs: image: float32[?, 3, 16, 16]" in ended.out
    assert "hamerspace search model-study/study.yaml" in ended.out
    assert "RANDOM DATA STAND IN" in ended.out
    out = searched(call, "model-study/study.yaml")
    assert "warning: RANDOM DATA STAND IN: load_data in task.py" in out
    assert "3 trials; stopped because" in out


@pytest.mark.slow
def test_of_a_keras_model(call, tmp_path):
    pytest.importorskip("tensorflow")
    from tests import keras_models

    keras_models.conv_net().save(tmp_path / "net.keras")
    assert call("init", tmp_path / "net.keras", "--output", "mine").code == 0
    searched(call, "mine/study.yaml")


def test_of_a_pytorch_module_whose_file_is_left_alone(call, tmp_path):
    code = "import torch\ndef build():\n    return torch.nn.Linear(16, 4)\n"
    (tmp_path / "here" / "task.py").write_text(code)
    ended = call("init", "task:build", "--input", "input=?x16", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["files"] == ["study.yaml", "task_data.py"]
    assert (tmp_path / "here" / "task.py").read_text() == code
    searched(call, "study.yaml")
    ended = call("init", "task:build", "--input", "input=?x16", "--output", "elsewhere")
    assert ended.code == 2
    assert "leave --output out" in ended.err


def test_of_data_the_labels_tell_the_metric(call, onnx_task, tmp_path):
    ended = call(
        *("init", onnx_task / "model.onnx", "--data", onnx_task / "data.npz"),
        *("--output", tmp_path / "s", "--json"),
    )
    assert not json.loads(ended.out)["random_data"]
    text = (tmp_path / "s" / "study.yaml").read_text()
    assert "follows the labels: accuracy" in text
    loaded = load_study(tmp_path / "s" / "study.yaml")
    assert loaded.data_path.resolve() == (onnx_task / "data.npz").resolve()
    arrays = runpy.run_path(str(tmp_path / "s" / "task.py"))["load_data"]()
    assert arrays["image"].shape == (400, 3, 16, 16)


def test_a_loader_of_the_users_own_is_kept(call, onnx_task, tmp_path):
    data = str(onnx_task / "data.npz")
    code = f"import numpy as np\ndef load():\n    return dict(np.load({data!r}))\n"
    (tmp_path / "here" / "rows.py").write_text(code)
    model = onnx_task / "model.onnx"
    ended = call("init", model, "--data", "rows:load", "--json")
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert told["files"] == ["study.yaml"]
    assert not told["random_data"]
    assert load_study(tmp_path / "here" / "study.yaml").config.task.data.load == "rows:load"
    assert "RANDOM" not in searched(call, "study.yaml")
    ended = call("init", model, "--data", "rows:load", "--output", "elsewhere")
    assert ended.code == 2
    assert "the module of 'rows:load' lies in" in ended.err


def test_metric_and_limits_stand_in_the_study(call, onnx_task, tmp_path):
    (tmp_path / "here" / "task.py").write_text("def judge(outputs, labels):\n    return 1.0\n")
    ended = call(
        *("init", onnx_task / "model.onnx", "--data", onnx_task / "data.npz", "--json"),
        *("--metric", "task:judge", "--direction", "minimize"),
        *("--max-size-mb", 0.5, "--max-latency-ms", 5, "--max-accuracy-drop", 2),
    )
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["files"] == ["study.yaml", "task_data.py"]
    config = load_study(tmp_path / "here" / "study.yaml").config
    assert (config.task.quality.metric, config.task.quality.direction) == ("task:judge", "minimize")
    assert config.constraints.constraints().limits() == {
        "max_size_mb": 0.5,
        "max_latency_ms": 5.0,
        "max_accuracy_drop": 2.0,
    }


def test_nothing_is_written_over_without_force(call, onnx_task, tmp_path):
    folder = tmp_path / "here" / "model-study"
    folder.mkdir()
    (folder / "task.py").write_text("mine")
    ended = call("init", onnx_task / "model.onnx")
    assert ended.code == 2
    assert "task.py" in ended.err
    assert (folder / "task.py").read_text() == "mine"
    assert not (folder / "study.yaml").exists()
    assert call("init", onnx_task / "model.onnx", "--force").code == 0
    assert (folder / "task.py").read_text() != "mine"


def test_the_schema_stands_beside_it_where_it_is_asked_for(call, onnx_task, tmp_path):
    call("init", onnx_task / "model.onnx", "--schema")
    folder = tmp_path / "here" / "model-study"
    first = (folder / "study.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=study.schema.json"
    schema = json.loads((folder / "study.schema.json").read_text())
    assert "constraints" in schema["properties"]


def test_of_the_example_that_comes_along(call, tmp_path):
    ended = call("init", "--example", "fashion_mnist")
    assert ended.code == 0, ended.err
    assert "hamerspace search fashion_mnist/study.yaml" in ended.out
    study = tmp_path / "here" / "fashion_mnist" / "study.yaml"
    assert load_study(study).config.name == "fashion_mnist"
    with np.load(study.parent / "data.npz") as archive:
        assert "search/image" in archive.files
    ended = call("init", "--example", "fashion_mnist")
    assert ended.code == 2
    assert "--force" in ended.err


def test_bad_input_is_refused(refused, onnx_task, tmp_path):
    assert "known: fashion_mnist" in refused("init", "--example", "nothing")
    assert "name a model" in refused("init")
    assert "name a model" in refused("init", "m.onnx", "--example", "fashion_mnist")
    assert "no such file" in refused("init", "m.onnx")
    model = onnx_task / "model.onnx"
    assert "did you mean 'accuracy'" in refused("init", model, "--metric", "acuracy")
    assert "has no input 'state'" in refused("init", model, "--constant", "state")
    assert "no module 'mine'" in refused(
        "init", model, "--metric", "mine:judge", "--direction", "maximize"
    )
    assert "--max-size-mb: must be above 0" in refused("init", model, "--max-size-mb", "0")
    odd = tmp_path / "odd.bin"
    odd.write_text("what is this")
    assert "is not a model file" in refused("init", odd)


def test_a_module_without_shapes_says_what_to_give(call, tmp_path):
    code = "import torch\ndef build():\n    return torch.nn.Linear(16, 4)\n"
    (tmp_path / "here" / "net.py").write_text(code)
    ended = call("init", "net:build")
    assert ended.code == 2
    assert "--input" in ended.err
    assert "Traceback" not in ended.err


def test_what_is_judged_is_written_down(call, onnx_task, tmp_path):
    ended = call("init", onnx_task / "model.onnx", "--output-name", "logits", "--output", "mine")
    assert ended.code == 0, ended.err
    assert (
        load_study(tmp_path / "here" / "mine" / "study.yaml").config.task.quality.output == "logits"
    )
