"""Files of models that are too large for one message, and of models in other types."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hamerspace.errors import BuildError
from hamerspace.tasks.conversions import onnx_file
from hamerspace.tasks.model import ModelArtifact, TensorSpec


def _saved(folder, weight, scale=1.0):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["x", "large"], ["a"]),
            helper.make_node("Sub", ["a", "large"], ["b"]),
            helper.make_node("MatMul", ["b", "w"], ["y"]),
        ],
        "g",
        [value("x", TensorProto.DOUBLE, [None, 8])],
        [value("y", TensorProto.DOUBLE, [None, 4])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(np.array(scale), "large")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    specs = [(TensorSpec(n, "float64", (None, d)),) for n, d in (("x", 8), ("y", 4))]
    return ModelArtifact(folder, "onnx", specs[0], specs[1], {"model": "model.onnx"})


def test_a_model_of_doubles_is_read_in_float32_where_it_answers_the_same(tmp_path):
    weight = np.random.default_rng(0).standard_normal((8, 4))
    found = onnx_file.read_in_float32(_saved(tmp_path, weight))
    assert {t.data_type for t in found.graph.initializer} == {TensorProto.FLOAT}
    with pytest.raises(BuildError, match="output 'y' differs"):
        onnx_file.read_in_float32(_saved(tmp_path, weight, scale=1e9))


def test_weights_beyond_one_message_lie_beside_the_file(tmp_path, monkeypatch):
    weight = np.random.default_rng(0).standard_normal((8, 512))
    model = _saved(tmp_path, weight).file("model")
    monkeypatch.setattr(onnx_file, "_SINGLE_FILE_BYTES", weight.nbytes)
    for _ in range(2):  # the second finds the data of the first
        metadata = onnx_file.save_onnx(onnx.load(model), tmp_path / "large.onnx")
    assert metadata == {"model": "large.onnx", "external": ["large.onnx.data"]}
    assert (tmp_path / "large.onnx.data").stat().st_size == pytest.approx(weight.nbytes, abs=4096)
    again = onnx.load(tmp_path / "large.onnx")
    np.testing.assert_array_equal(numpy_helper.to_array(again.graph.initializer[0]), weight)
