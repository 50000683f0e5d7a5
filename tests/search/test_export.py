"""What is exported is data and code of ours, whatever the model calls its tensors."""

import ast
import re
import string
from pathlib import Path

import hamerspace
from hamerspace.backends.base import Candidate
from hamerspace.search.export import _predict
from hamerspace.tasks.model import TensorSpec

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
