"""Models, data and user code that are wrong: one message, nothing left behind."""

import numpy as np
import pytest

from hamerspace.build import preload
from hamerspace.cli.search import SOURCE_IS_BEST

USER_CODE = """
def raises(*_): raise RuntimeError("boom")
def nothing(*_): return float("nan")
def text(*_): return "good"
def lists(): return [1, 2, 3]
def leaves(*_): raise SystemExit(0)
def dies(*_): __import__("os")._exit(0)
"""


@pytest.fixture(autouse=True)
def nothing_preloaded(monkeypatch):
    """Import in the build server what a job needs and no more: most of these jobs fail at once."""
    monkeypatch.setattr(preload, "reading", lambda _: ())


def failing(call, tmp_path, *arguments):
    ended = call("search", *arguments)
    assert ended.code == 2
    assert ended.err.count("error: ") == 1
    assert "Traceback" not in ended.err
    assert ended.out == ""
    assert list((tmp_path / "here").iterdir()) == []
    return ended.err


@pytest.mark.parametrize("name", ["empty.onnx", "cut.onnx", "random.pt", "random.pt2"])
def test_damaged_models_are_named(call, tmp_path, onnx_task, name):
    path = tmp_path / name
    whole = (onnx_task / "model.onnx").read_bytes()
    noise = np.random.default_rng(0).bytes(3000)
    path.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "random": noise}[path.stem])
    assert str(path) in failing(call, tmp_path, path)


def test_damaged_weights_are_named(call, tmp_path):
    (tmp_path / "here" / "task.py").write_text(
        "def build():\n    import torch\n    return torch.nn.Linear(4, 2)\n"
    )
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{")
    ended = call("search", "task:build", "--weights", weights, "--input", "x=?x4")
    assert ended.code == 2
    assert str(weights) in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"picture": ((40, 3, 16, 16), "float32")}, "'picture'"),
        ({"image": ((40, 3, 16, 9), "float32"), "labels": ((40,), "int64")}, "image"),
        ({"image": ((40, 3, 16, 16), "int64"), "labels": ((40,), "int64")}, "int64"),
        ({"image": ((40, 3, 16, 16), "float32"), "labels": ((7,), "int64")}, "'labels' 7"),
    ],
)
def test_data_that_do_not_fit_are_named(call, tmp_path, onnx_task, arrays, said):
    path = tmp_path / "data.npz"
    np.savez(path, **{name: np.zeros(shape, dtype) for name, (shape, dtype) in arrays.items()})
    assert said in failing(call, tmp_path, onnx_task / "model.onnx", "--data", path)


def test_a_metric_that_needs_labels_says_so(call, tmp_path, onnx_task):
    path = tmp_path / "data.npz"
    np.savez(path, image=np.zeros((40, 3, 16, 16), "float32"))
    flags = ("--data", path, "--metric", "accuracy")
    assert "needs labels" in failing(call, tmp_path, onnx_task / "model.onnx", *flags)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"quality": {"metric": "task:raises", "direction": "maximize"}}, "'boom'"),
        ({"quality": {"metric": "task:leaves", "direction": "maximize"}}, "SystemExit(0)"),
        ({"quality": {"metric": "task:dies", "direction": "maximize"}}, "exited with code 0"),
        ({"quality": {"metric": "task:ledt", "direction": "maximize"}}, "'task' has no 'ledt'"),
        ({"quality": {"metric": "task:__doc__", "direction": "maximize"}}, "is not a function"),
        ({"data": {"load": "task:leaves"}}, "SystemExit(0)"),
        ({"data": {"load": "task:dies"}}, "exited with code 0"),
        ({"source": {"builder": "task:leaves"}}, "SystemExit(0)"),
        ({"quality": {"metric": "task:nothing", "direction": "maximize"}}, "nan"),
        ({"quality": {"metric": "task:text", "direction": "maximize"}}, "'good'"),
        (
            {"data": {"load": "task:lists"}},
            "task.data.load: 'task:lists' returned a value of type list",
        ),
        ({"data": {"load": "broken:f"}}, "importing 'broken' raised"),
        ({"source": {"builder": "task:raises"}}, "task.source.builder: 'task:raises' raised"),
    ],
)
def test_user_code_that_fails_is_named(call, tmp_path, onnx_task, write_study, section, said):
    task = {
        "source": {"path": str(onnx_task / "model.onnx")},
        "data": {"path": str(onnx_task / "data.npz")},
    }
    study = write_study(tmp_path / "study", task=task | section)
    (study.parent / "task.py").write_text(USER_CODE)
    (study.parent / "broken.py").write_text("import nothing_like_this\n")
    assert said in failing(call, tmp_path, study)


def test_a_pickled_module_needs_trust_and_then_works(call, tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    path = tmp_path / "model.pt"
    torch.save(torch.nn.Sequential(torch.nn.Linear(16, 8), torch.nn.ReLU()).eval(), path)
    rows = np.random.default_rng(0).normal(size=(200, 16)).astype("float32")
    np.savez(tmp_path / "data.npz", input=rows)
    flags = ("--data", tmp_path / "data.npz", "--backends", "pytorch", "--trials", 1)
    message = failing(call, tmp_path, path, *flags)
    assert "can run any code" in message
    assert "--trust-pickle" in message
    ended = call("search", path, *flags, "--trust-pickle")
    assert ended.code in (0, SOURCE_IS_BEST), ended.err
    assert "pytorch fp32" in ended.out


@pytest.mark.parametrize("damaged", ["task.json", "source/manifest.json", "data/splits.json"])
def test_a_damaged_entry_of_the_store_is_named(call, tmp_path, onnx_task, monkeypatch, damaged):
    monkeypatch.setenv("HAMERSPACE_CACHE", str(tmp_path / "cache"))
    plan = ("plan", onnx_task / "model.onnx", "--backends", "onnxruntime")
    assert call(*plan).code == 0
    entry = next((tmp_path / "cache").rglob("task.json")).parent
    for content in ("{", "[]", '{"inputs": ["x"], "reads": {}}'):
        (entry / damaged).unlink()
        (entry / damaged).write_text(content)
        ended = call(*plan)
        assert ended.code == 2
        assert ended.err.count("error: ") == 1
        assert str(entry) in ended.err
        assert "Traceback" not in ended.err
        assert "delete" in ended.err
