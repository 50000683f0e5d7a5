import json

import numpy as np
import pytest

SMALL = ("--size", 0.0105)
"""Which the source model misses, and int8 keeps."""


@pytest.fixture
def optimize(call, onnx_task):
    def run(*flags):
        model, data = onnx_task / "model.onnx", onnx_task / "data.npz"
        common = ("--data", data, "--trials", 3, "--goal", "quantize")
        return call("optimize", model, *common, *flags)

    return run


def test_the_model_is_written_where_it_was_asked_for(optimize, tmp_path):
    saved = tmp_path / "small.onnx"
    ended = optimize(*SMALL, "--accuracy-drop", 60, "--output", saved)
    assert ended.code == 0
    assert saved.is_file()
    assert f"saved: {saved}" in ended.out
    for part in ("before", "after", "size at most 0.0105 MB", "recipe: onnxruntime", "report: "):
        assert part in ended.out
    assert (tmp_path / "here/runs/model/report.html").is_file()


def test_json_tells_what_was_saved(optimize, tmp_path):
    ended = optimize(*SMALL, "--accuracy-drop", 60, "--output", tmp_path / "m.onnx", "--json")
    document = json.loads(ended.out)
    assert document["saved"] == [str(tmp_path / "m.onnx")]
    assert document["winner"]["verdicts"] == {"max_size_mb": "kept", "max_accuracy_drop": "kept"}


def test_a_folder_gets_everything_that_runs_it(optimize, tmp_path):
    flags = (*SMALL, "--output", tmp_path / "shipped", "--backends", "onnxruntime")
    assert optimize(*flags).code == 0
    assert (tmp_path / "shipped/predict.py").is_file()


def test_nothing_feasible_has_an_exit_code_of_its_own(optimize, tmp_path):
    ended = optimize("--size", 1e-6, "--output", tmp_path / "m.onnx")
    assert ended.code == 3
    assert "nearest" in ended.out
    assert not (tmp_path / "m.onnx").exists()


def test_nothing_that_beats_the_source_has_an_exit_code_of_its_own(call, onnx_task, tmp_path):
    flags = ("--goal", "quantize", "--backends", "onnxruntime", "--trials", 1)
    saved = tmp_path / "m.onnx"
    ended = call("optimize", onnx_task / "model.onnx", *flags, "--output", saved)
    assert ended.code == 4, ended.err
    assert "Nothing here beats the source model; the nearest is onnxruntime" in ended.out
    assert "no limits" not in ended.out
    assert not saved.exists()
    assert not (tmp_path / "here/runs/model/best").exists()
    shown = call("show", "runs/model")
    assert "nearest: trial 0, onnxruntime fp32: 0.012 MB (same)" in shown.out
    assert "hamerspace export" in shown.out
    document = json.loads(call("show", "runs/model", "--json").out)
    assert (document["winner"], document["source_is_best"]) == (None, True)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--goal", "shrink"], "goal: unknown goal 'shrink'; there are auto, quantize"),
        (["--size", "0"], "max_size_mb must be a finite number above 0"),
        (["--target-hardware", "toaster"], "unknown target_hardware 'toaster'"),
        (["--output", "model.zip"], "no models saved as '.zip' files here"),
        (["--output", "m.xml", "--backends", "onnxruntime"], "none of onnxruntime builds .xml"),
        (
            ["--output", "m.so"],
            "--output: no .so file can come of this search: space 'cpu' does not",
        ),
        (["--output", "m.keras"], "there is no conversion from onnx to keras; name another suffix"),
        (["--space", "quikc"], "unknown space 'quikc'"),
        (["--input", "1xqx3"], "--input: '1xqx3' is not of the form"),
    ],
)
def test_bad_flags(refused, onnx_task, flags, message):
    assert message in refused("optimize", onnx_task / "model.onnx", *flags)


@pytest.mark.parametrize("name", ["small.onnx", "folder"])
def test_a_place_that_cannot_be_written_is_refused_before_the_search(
    refused, onnx_task, tmp_path, name
):
    (tmp_path / "file").write_text("")
    said = refused("optimize", onnx_task / "model.onnx", "--output", tmp_path / "file" / name)
    assert "is no folder; name another place" in said


def test_a_model_that_is_not_there(refused):
    assert "no such file" in refused("optimize", "model.pt", "--output", "optimized.pt")


@pytest.mark.slow
def test_a_pytorch_file_ends_as_a_pytorch_file(call, tmp_path):
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3))
    torch.jit.trace(net.eval(), torch.ones(1, 8)).save(tmp_path / "model.pt")
    saved = tmp_path / "optimized.pt"
    flags = ("--goal", "auto", "--size", 10, "--latency", 50, "--trials", 4, "--output", saved)
    ended = call("optimize", tmp_path / "model.pt", "--input", "1x8", *flags)
    assert ended.code == 0, ended.err
    loaded = torch.jit.load(saved)
    x = torch.from_numpy(np.ones((1, 8), np.float32))
    torch.testing.assert_close(loaded(x), net(x), rtol=0.2, atol=0.2)
