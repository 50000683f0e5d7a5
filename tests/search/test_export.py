"""What is exported is data and code of ours, whatever the model calls its tensors."""

import ast
import json
import re
import string
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hamerspace
from hamerspace.backends import BACKENDS
from hamerspace.backends.base import Candidate
from hamerspace.recipe import Recipe
from hamerspace.search.export import Deployment, _predict, export_candidate
from hamerspace.tasks.model import TensorSpec
from tests import onnx_models

OURS = {"back", "body", "device", "imports", "level", "load", "modules", "resolver", "to"}


def test_names_of_tensors_run_nothing(tmp_path):
    mark = tmp_path / "run"
    hostile = [
        f'{quotes}; open({str(mark)!r}, "w"); {quotes}' for quotes in ('"""', "'", "\n", "\\")
    ]
    specs = tuple(TensorSpec(name, "float32", (None, 3)) for name in hostile)
    for backend, metadata in (
        ("onnxruntime", {"model": "model.onnx"}),
        ("openvino", {"model": "model.xml"}),
        ("litert", {"model": "model.tflite"}),
        ("tvm", {"inputs": hostile, "outputs": hostile}),
        ("pytorch", {"model": "m.pt2", "kind": "export", "quantization": "none", "device": "cpu"}),
    ):
        files = (metadata.get("model", "model.so"),)
        candidate = Candidate(tmp_path, backend, files, specs, specs, {}, metadata)
        tree = ast.parse(_predict(candidate))
        values = {n.targets[0].id: n.value for n in tree.body if isinstance(n, ast.Assign)}
        assert ast.literal_eval(values["INPUTS"]) == [str(spec) for spec in specs]
        tree.body = [
            n for n in tree.body if not isinstance(n, ast.Import | ast.ImportFrom | ast.If)
        ]
        exec(compile(tree, "predict.py", "exec"), {})
    assert not mark.exists()


def test_no_template_of_code_takes_a_value_but_as_data():
    texts = 0
    for path in Path(hamerspace.__file__).parent.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Constant):
                continue
            name, text = getattr(node.targets[0], "id", ""), node.value.value
            if re.fullmatch(r"_(PREDICT|TEXT)", name) and isinstance(text, str):
                texts += 1
                for _, field, _, conversion in string.Formatter().parse(text):
                    assert field is None or field in OURS or conversion == "r", (path, field)
    assert texts >= 6


@pytest.mark.parametrize("fixed", [1, 4, None])
def test_any_number_of_rows_can_be_predicted(tmp_path, fixed):
    source = onnx_models.gated(tmp_path / "source", batch=fixed)
    free = onnx_models.gated(tmp_path / "free")
    (tmp_path / "built").mkdir()
    candidate = BACKENDS.load("onnxruntime").create().build(source, {}, None, tmp_path / "built")
    folder = tmp_path / "best"
    export_candidate(candidate, Recipe({"backend": "onnxruntime"}), None, Deployment(1, 1), folder)
    steps = onnx_models.inputs(free, 5)
    np.savez(tmp_path / "in.npz", **steps)
    files = [tmp_path / "in.npz", tmp_path / "out.npz"]
    subprocess.run([sys.executable, folder / "predict.py", *files], check=True)
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_allclose(
            found["score"], onnx_models.reference(free)(steps)["score"], 1e-5
        )
    assert json.loads((folder / "manifest.json").read_text())["fixed_batch"] == fixed
    assert ("fixed at a batch of" in (folder / "README.md").read_text()) == (fixed is not None)


def test_rows_are_put_together_along_their_own_axis(tmp_path):
    # As many steps as rows in a batch, so that either axis may be taken for the rows.
    source = onnx_models.recogniser(tmp_path / "source", batch=6)
    (tmp_path / "built").mkdir()
    candidate = BACKENDS.load("onnxruntime").create().build(source, {}, None, tmp_path / "built")
    folder = tmp_path / "best"
    export_candidate(candidate, Recipe({"backend": "onnxruntime"}), None, Deployment(6, 1), folder)
    free = onnx_models.recogniser(tmp_path / "free")
    frames = onnx_models.inputs(free, 15)
    np.savez(tmp_path / "in.npz", **frames)
    files = [tmp_path / "in.npz", tmp_path / "out.npz"]
    subprocess.run([sys.executable, folder / "predict.py", *files], check=True)
    wanted = onnx_models.reference(free)(frames)
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_allclose(found["logits"], wanted["logits"], rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(found["places"], wanted["places"])
