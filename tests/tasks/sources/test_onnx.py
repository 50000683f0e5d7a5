"""ONNX files as source models."""

import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hamerspace.errors import DataError, SourceError
from hamerspace.tasks.model import TensorSpec
from hamerspace.tasks.sources import SourceSpec, open_source
from hamerspace.tasks.sources.base import as_declared
from hamerspace.testing.sources import SourceConformance
from tests import onnx_models

EXAMPLE = {"x": np.ones((2, 4), np.float32), "ids": np.array([[0, 1], [1, 0]])}


def model(*, batch="N", weight=None, constant=None):
    weight = np.ones((4, 3), np.float32) if weight is None else weight
    table = np.arange(6, dtype=np.float32).reshape(2, 3) if constant is None else constant
    nodes = [
        helper.make_node("Constant", [], ["table"], value=numpy_helper.from_array(table)),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axis"], ["sums"], keepdims=0),
        helper.make_node("Add", ["y", "sums"], ["z"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 4]),
            helper.make_tensor_value_info("ids", TensorProto.INT64, [batch, "words"]),
            # Older exporters list their weights among the inputs.
            helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 3]),
        ],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [batch, 3])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(np.array([1]), "axis")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "source").mkdir()
    return tmp_path


def opened(folder, example=EXAMPLE, name="model.onnx"):
    spec = SourceSpec(None, folder / name, None, None, folder)
    return open_source(spec, example, folder / "source")


class TestOnnxSource(SourceConformance):
    name = "onnx"

    @pytest.fixture(scope="class")
    def given(self, tmp_path_factory):
        path = tmp_path_factory.mktemp("given") / "model.onnx"
        onnx.save(model(), path)
        return SourceSpec(None, path, None, None, path.parent), EXAMPLE

    @pytest.fixture(scope="class")
    def reference(self):
        table = np.arange(6).reshape(2, 3)
        return lambda batch: [batch["x"] @ np.ones((4, 3)) + table[batch["ids"]].sum(axis=1)]


def test_what_inspection_finds(folder):
    onnx.save(model(), folder / "model.onnx")
    artifact, info = opened(folder)
    assert info.inputs == (
        TensorSpec("x", "float32", (None, 4)),
        TensorSpec("ids", "int64", (None, None)),
    )
    assert info.outputs == (TensorSpec("z", "float32", (None, 3)),)
    assert info.parameter_count == 12 + 6 + 1
    assert info.op_families == ("embedding", "linear")
    assert info.details["opset"] == 17
    assert info.dynamic_batch
    assert artifact.file("model").is_file()


def test_a_declared_batch_is_kept_and_needs_no_data(folder):
    onnx.save(model(batch=1, constant=np.ones((200, 3), np.float32)), folder / "model.onnx")
    _, info = opened(folder, None)
    assert not info.dynamic_batch
    assert info.inputs[0].shape == (1, 4)


def test_external_weights_come_along(folder):
    (folder / "there").mkdir()
    onnx.save(
        model(),
        folder / "there" / "model.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    artifact, info = opened(folder, name="there/model.onnx")
    assert info.size_bytes > 40
    assert sorted(p.name for p in artifact.folder.iterdir()) == ["manifest.json", "model.onnx"]
    (folder / "there" / "weights.bin").unlink()
    with pytest.raises(SourceError, match=r"weights in 'weights\.bin', which is missing"):
        opened(folder, name="there/model.onnx")


@pytest.mark.parametrize("content", [b"\x08\x09random", bytes(300), bytes(range(256)) * 4])
def test_what_is_no_onnx_file_is_refused(folder, content):
    (folder / "model.onnx").write_bytes(content)
    with pytest.raises(SourceError, match=r"model\.onnx is not"):
        opened(folder)


def test_truncated_files_are_refused(folder):
    onnx.save(model(), folder / "model.onnx")
    content = (folder / "model.onnx").read_bytes()
    for share in (0.3, 0.6, 0.9):
        (folder / "model.onnx").write_bytes(content[: int(len(content) * share)])
        with pytest.raises(SourceError, match=r"model\.onnx"):
            opened(folder)


def test_an_invalid_graph_is_refused(folder):
    broken = model()
    broken.graph.node[1].input[0] = "nowhere"
    onnx.save(broken, folder / "model.onnx")
    with pytest.raises(SourceError, match="not a valid ONNX model"):
        opened(folder)


def test_weights_that_are_not_finite_are_named(folder):
    onnx.save(model(weight=np.full((4, 3), np.nan, np.float32)), folder / "model.onnx")
    with pytest.raises(SourceError, match="not finite: 'w'"):
        opened(folder)


def test_names_shapes_and_dtypes_that_do_not_fit_are_shown(folder):
    onnx.save(model(), folder / "model.onnx")
    with pytest.raises(DataError, match=r"no array 'ids', .*\(its inputs: x, ids\).* is 'words'"):
        opened(folder, {"x": EXAMPLE["x"], "words": EXAMPLE["ids"]})
    with pytest.raises(DataError, match=r"'x': each row has shape \[5\], .* takes \[4\]"):
        opened(folder, {**EXAMPLE, "x": np.ones((2, 5), np.float32)})
    with pytest.raises(DataError, match=r"'x': float64, .*astype\('float32'\)"):
        opened(folder, {**EXAMPLE, "x": EXAMPLE["x"].astype(np.float64)})
    with pytest.raises(DataError, match=r"array 'y': .* set task\.data\.labels: y"):
        opened(folder, {**EXAMPLE, "y": np.zeros(2)})


def test_weights_and_operators_within_branches_count(folder):
    branches = []
    for name, value in (("then", 1.0), ("else", 2.0)):
        out = helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, None)
        weight = numpy_helper.from_array(np.full((4, 3), value, np.float32), f"{name}_w")
        product = helper.make_node("MatMul", ["x", f"{name}_w"], [f"{name}_y"])
        branches.append(helper.make_graph([product], name, [], [out], [weight]))
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["positive"]),
        helper.make_node(
            "If", ["positive"], ["y"], then_branch=branches[0], else_branch=branches[1]
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "branches",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(np.float32(0), "zero")],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), folder / "model.onnx")
    _, info = opened(folder, {"x": EXAMPLE["x"]})
    assert info.parameter_count == 2 * 12 + 1
    assert info.op_families == ("linear",)
    assert info.details["has_subgraphs"]
    assert not info.details["quantized"]
    assert "MatMul" in info.details["operators"]


@pytest.mark.parametrize("opset", [9, 11, 13])
def test_old_opsets_are_read(folder, opset):
    source = onnx_models.conv_net(folder / "net", opset=opset)
    shutil.copy(source.file("model"), folder / "model.onnx")
    _, info = opened(folder, None)
    assert info.details["opset"] == opset
    assert info.op_families == ("conv", "linear", "norm")
    assert not info.details["has_subgraphs"]


def test_quantised_models_are_recognised(folder):
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "quantised",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [
            numpy_helper.from_array(np.float32(0.1), "scale"),
            numpy_helper.from_array(np.int8(0), "zero"),
        ],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), folder / "model.onnx")
    _, info = opened(folder, {"x": EXAMPLE["x"]})
    assert info.details["quantized"]


def test_a_dimension_of_minus_one_is_free(folder):
    made = model()
    for value in (*made.graph.input[:2], *made.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = -1
    onnx.save(made, folder / "model.onnx")
    artifact, info = opened(folder)
    assert info.dynamic_batch
    assert info.inputs[0].shape == (None, 4)
    kept = onnx.load(artifact.file("model")).graph.input[0].type.tensor_type.shape.dim[0]
    assert kept.dim_param == "batch"


def test_sizes_that_a_study_gives_stand_in_for_free_ones():
    found = (TensorSpec("x", "float32", (None, 3, None, None)), TensorSpec("n", "int64", (None,)))
    declared = (TensorSpec("x", "float32", (1, 9, 48, 192)),)
    x, n = as_declared(found, declared)
    assert x.shape == (None, 3, 48, 192)
    assert n == found[1]
    only = as_declared(found[:1], (TensorSpec("*", "float32", (1, 3, 48, 192)),))
    assert only == (x,)
    assert as_declared(found, (TensorSpec("x", "float32", (1, 3)),)) == found


def test_a_name_with_control_characters_is_refused_and_shown_escaped(folder):
    proto = model()
    proto.graph.node[-1].output[0] = proto.graph.output[0].name = "z\n\x1b[2J"
    onnx.save(proto, folder / "model.onnx")
    with pytest.raises(SourceError, match=r"output 'z\\n\\x1b\[2J' has control characters; rename"):
        opened(folder)


def test_what_the_runtime_says_names_the_users_file(folder):
    made = model()
    node = made.graph.node[0]
    node.op_type, node.domain = "Nonsense", "my.own"
    made.opset_import.append(helper.make_opsetid("my.own", 1))
    onnx.save(made, folder / "odd.onnx")
    with pytest.raises(SourceError, match="cannot be run by ONNX Runtime") as told:
        opened(folder, name="odd.onnx")
    assert f"Load model from {folder / 'odd.onnx'} failed" in str(told.value)
