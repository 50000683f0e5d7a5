"""What is exported is data and code of ours, whatever the model calls its tensors."""

import ast
import json
import re
import runpy
import string
import subprocess
import sys
from pathlib import Path

import jinja2
import numpy as np
import onnx
import pytest
from jinja2 import nodes
from onnx import TensorProto, helper

import hamerspace
from hamerspace.backends import BACKENDS
from hamerspace.backends.base import BuildJob
from hamerspace.backends.candidate import Candidate
from hamerspace.recipe import Recipe
from hamerspace.search.export import Deployment, _told, export_candidate
from hamerspace.tasks.model import TensorSpec
from tests import onnx_models

OURS = {"body", "imports", "level", "load", "modules", "resolver", "run"}


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
        tree = ast.parse(_told("predict.py", candidate, None, Deployment()))
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
            if re.fullmatch(r"_(PREDICT|TEXT|LOAD)", name) and isinstance(text, str):
                texts += 1
                for _, field, _, conversion in string.Formatter().parse(text):
                    assert field is None or field in OURS or conversion == "r", (path, field)
    assert texts >= 5
    template = Path(hamerspace.__file__).parent / "search" / "templates" / "predict.py.jinja"
    given = [
        node
        for output in jinja2.Environment().parse(template.read_text()).find_all(nodes.Output)
        for node in output.nodes
        if not isinstance(node, nodes.TemplateData)
    ]
    assert len(given) == 7
    for node in given:
        as_data = isinstance(node, nodes.Filter) and node.name == "python"
        assert as_data or node.name in {*OURS, "batch"}, node


@pytest.mark.parametrize("fixed", [1, 4, None])
def test_any_number_of_rows_can_be_predicted(tmp_path, fixed):
    source = onnx_models.gated(tmp_path / "source", batch=fixed)
    free = onnx_models.gated(tmp_path / "free")
    (tmp_path / "built").mkdir()
    candidate = (
        BACKENDS.load("onnxruntime").create().build(BuildJob(source, {}, None, tmp_path / "built"))
    )
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
    candidate = (
        BACKENDS.load("onnxruntime").create().build(BuildJob(source, {}, None, tmp_path / "built"))
    )
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


@pytest.fixture
def fixed(tmp_path):
    """``fixed(x)`` runs ``predict.py`` of a batch of 4: ``y`` has rows, ``anchors`` has none.

    ``fixed(x, "top")`` gives the maximum of all values too.
    """

    def run(x, *more):
        names = {"y": ("Relu", [4, 3], 0), "anchors": ("Shape", [2], None)}
        names |= {name: ("ReduceMax", [], None) for name in more}
        kinds = {name: np.int64 if name == "anchors" else np.float32 for name in names}
        graph = helper.make_graph(
            [
                helper.make_node(operator, ["x"], [name], **({"keepdims": 0} if not shape else {}))
                for name, (operator, shape, _) in names.items()
            ],
            "fixed",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 3])],
            [
                helper.make_tensor_value_info(
                    name, helper.np_dtype_to_tensor_dtype(np.dtype(kinds[name])), shape
                )
                for name, (_, shape, _) in names.items()
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
        onnx.save(model, tmp_path / "model.onnx")
        specs = tuple(
            TensorSpec(name, np.dtype(kinds[name]).name, tuple(shape), row_axis=axis)
            for name, (_, shape, axis) in names.items()
        )
        inputs, named = (TensorSpec("x", "float32", (4, 3)),), {"model": "model.onnx"}
        built = Candidate(tmp_path, "onnxruntime", ("model.onnx",), inputs, specs, {}, named)
        recipe, folder = Recipe({"backend": "onnxruntime"}), tmp_path / "best"
        export_candidate(built, recipe, None, Deployment(4, 1), folder)
        return runpy.run_path(str(folder / "predict.py"))["load"](folder)({"x": x})

    return run


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 8])
def test_an_output_without_rows_is_given_with_any_number_of_rows(fixed, rows):
    x = np.arange(3 * rows, dtype=np.float32).reshape(rows, 3)
    found = fixed(x)
    np.testing.assert_array_equal(found["y"], x)
    np.testing.assert_array_equal(found["anchors"], [4, 3])


@pytest.mark.parametrize("rows", [1, 3, 5])
def test_an_output_that_the_filling_changes_is_refused(fixed, rows):
    x = -1 - np.arange(3 * rows, dtype=np.float32).reshape(rows, 3)
    with pytest.raises(ValueError, match="'top' has no entry a row: give 4 at a time"):
        fixed(x, "top")


def test_an_output_of_all_rows_is_given_for_a_whole_batch(fixed):
    assert fixed(np.full((4, 3), -2, np.float32), "top")["top"] == -2
