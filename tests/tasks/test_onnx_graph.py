"""Models whose weights do not lie where the tools look for them."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hamerspace.backends.base import BuildJob
from hamerspace.backends.onnxruntime.backend import OnnxRuntimeBackend
from hamerspace.tasks.model import ModelArtifact
from hamerspace.tasks.onnx_graph import read_onnx, weight_bytes
from hamerspace.tasks.sources import SourceSpec, open_source

node = helper.make_node
RNG = np.random.default_rng(0)
FIRST = RNG.standard_normal((16, 48)).astype(np.float32) / 4
SECOND = RNG.standard_normal((48, 5)).astype(np.float32) / 7


def _model(nodes, weights, *, functions=(), kind=TensorProto.FLOAT, opset=17):
    tensors = [numpy_helper.from_array(np.ascontiguousarray(a), n) for n, a in weights.items()]
    value = helper.make_tensor_value_info
    io = [value("x", kind, ["N", 16])], [value("y", kind, ["N", 5])]
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
    graph = helper.make_graph(nodes, "g", *io, tensors)
    return helper.make_model(graph, opset_imports=imports, ir_version=8, functions=functions)


def plain(first="w1", second="w2"):
    return [
        node("MatMul", ["x", first], ["m"]),
        node("Relu", ["m"], ["r"]),
        node("MatMul", ["r", second], ["y"]),
    ]


def inlined():
    return _model(plain(), {"w1": FIRST, "w2": SECOND})


def in_functions():
    body = [node("MatMul", ["a", "w"], ["m"]), node("Relu", ["m"], ["b"])]
    dense = helper.make_function(
        "own", "Dense", ["a", "w"], ["b"], body, [helper.make_opsetid("", 17)]
    )
    nodes = [node("Dense", ["x", "w1"], ["r"], domain="own"), node("MatMul", ["r", "w2"], ["y"])]
    return _model(nodes, {"w1": FIRST, "w2": SECOND}, functions=[dense])


def turned():
    nodes = [node("Transpose", [f"t{k}"], [f"w{k}"], perm=[1, 0]) for k in (1, 2)]
    return _model(nodes + plain(), {"t1": FIRST.T, "t2": SECOND.T})


def halves():
    nodes = [node("Cast", [f"h{k}"], [f"w{k}"], to=TensorProto.FLOAT) for k in (1, 2)]
    weights = {"h1": FIRST.astype(np.float16), "h2": SECOND.astype(np.float16)}
    return _model(nodes + plain(), weights)


def computed():
    """As a parametrisation leaves them: a direction times a length, in Constant nodes."""
    constants = [
        node("Constant", [], ["d1"], value=numpy_helper.from_array(FIRST / 2)),
        node("Constant", [], ["two"], value_float=2.0),
    ]
    nodes = [*constants, node("Mul", ["d1", "two"], ["w1"]), *plain()]
    return _model(nodes, {"w2": SECOND})


def doubles():
    weights = {"w1": FIRST.astype(np.float64), "w2": SECOND.astype(np.float64)}
    return _model(plain(), weights, kind=TensorProto.DOUBLE)


def opened(model, folder):
    folder.mkdir()
    onnx.save(model, folder / "model.onnx")
    (folder / "source").mkdir()
    dtype = helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type)
    example = {"x": np.random.default_rng(1).standard_normal((4, 16)).astype(dtype)}
    spec = SourceSpec(None, folder / "model.onnx", None, None, folder)
    return *open_source(spec, example, folder / "source"), example


def size_of(source, kind, example, folder):
    folder.mkdir()
    backend = OnnxRuntimeBackend()
    candidate = backend.build(BuildJob(source, {"quantization": kind}, [example], folder))
    assert candidate.metadata["lowered"] > 0.9
    found = backend.load(candidate, 1).run(example)["y"]
    wanted = backend.load(backend.wrap_source(source), 1).run(example)["y"]
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.97
    return candidate.size_bytes


@pytest.mark.parametrize("make", [in_functions, turned, halves, computed, doubles])
@pytest.mark.parametrize("kind", ["static_int8", "dynamic_int8", "weights_int8"])
def test_what_a_runtime_folds_is_quantised_as_its_twin_is(tmp_path, monkeypatch, make, kind):
    monkeypatch.chdir(tmp_path)
    twin, wanted, example = opened(inlined(), tmp_path / "twin")
    source, info, given = opened(make(), tmp_path / "model")
    assert info.op_families == wanted.op_families == ("linear",)
    small = size_of(twin, kind, example, tmp_path / "a")
    assert size_of(source, kind, given, tmp_path / "b") == pytest.approx(small, rel=0.15)


def test_the_file_stays_as_it_was_made(tmp_path):
    source, info, _ = opened(halves(), tmp_path / "model")
    assert source.file("model").read_bytes() == (tmp_path / "model/model.onnx").read_bytes()
    assert info.weight_dtypes == ("float16",)
    assert info.size_bytes == 2 * (FIRST.size + SECOND.size)


def tied():
    """A table that is looked up and, turned, multiplied with."""
    nodes = [
        node("MatMul", ["x", "w1"], ["m"]),
        node("ArgMax", ["x"], ["largest"], axis=1, keepdims=0),
        node("Mod", ["largest", "five"], ["row"]),
        node("Gather", ["table", "row"], ["r"]),
        node("Add", ["m", "r"], ["a"]),
        node("Transpose", ["table"], ["turned"], perm=[1, 0]),
        node("MatMul", ["a", "turned"], ["y"]),
    ]
    table = np.random.default_rng(2).standard_normal((5, 480)).astype(np.float32)
    first = np.random.default_rng(3).standard_normal((16, 480)).astype(np.float32)
    return _model(nodes, {"w1": first, "table": table, "five": np.array(5)})


def in_int8():
    """As quantisers that leave activations alone store weights for old runtimes."""
    nodes = [
        node("Cast", ["q"], ["c"], to=TensorProto.FLOAT),
        node("Mul", ["c", "scale"], ["w1"]),
        *plain(),
    ]
    scale = np.abs(FIRST).max() / 127
    weights = {"q": np.rint(FIRST / scale).astype(np.int8), "scale": scale, "w2": SECOND}
    return _model(nodes, weights)


def spread():
    nodes = [
        node("Expand", ["row", "shape"], ["rows"]),
        node("Add", ["rows", "tile"], ["w1"]),
        *plain(),
    ]
    weights = {"shape": np.array([16, 48]), "row": FIRST[0], "tile": FIRST[:, :1], "w2": SECOND}
    return _model(nodes, weights)


def random():
    nodes = [
        node("RandomNormalLike", ["w1"], ["noise"], seed=1.0),
        node("Add", ["w1", "noise"], ["noisy"]),
        *plain("noisy"),
    ]
    return _model(nodes, {"w1": FIRST, "w2": SECOND})


@pytest.mark.parametrize("make", [tied, in_int8, spread, random])
def test_what_would_grow_or_is_random_stays_a_node(tmp_path, make):
    onnx.save(make(), tmp_path / "model.onnx")
    found = read_onnx(ModelArtifact(tmp_path, "onnx", (), (), {"model": "model.onnx"}))
    assert [n.op_type for n in found.graph.node] == [n.op_type for n in make().graph.node]
    assert weight_bytes(found) == weight_bytes(make())


@pytest.mark.parametrize(("kind", "share"), [("weights_int4", 0.35), ("fp16", 0.55)])
def test_a_tied_table_becomes_smaller_wherever_it_is_read(tmp_path, monkeypatch, kind, share):
    monkeypatch.chdir(tmp_path)
    source, _, example = opened(tied(), tmp_path / "model")
    size = size_of(source, kind, example, tmp_path / "built")
    assert size < share * source.file("model").stat().st_size


def test_what_is_small_is_computed_though_it_grows(tmp_path):
    """As shapes are."""
    nodes = [
        node("ConstantOfShape", ["one"], ["zeros"]),
        node("Add", ["zeros", "five"], ["fives"]),
        node("Concat", ["free", "fives"], ["shape"], axis=0),
        node("MatMul", ["x", "w"], ["m"]),
        node("Reshape", ["m", "shape"], ["y"]),
    ]
    weights = {"one": np.array([1]), "five": np.float32(5), "free": np.array([-1.0], np.float32)}
    nodes.insert(3, node("Cast", ["shape"], ["sizes"], to=TensorProto.INT64))
    nodes[-1].input[1] = "sizes"
    weights["w"] = np.ascontiguousarray(SECOND[:16])
    onnx.save(_model(nodes, weights), tmp_path / "model.onnx")
    found = read_onnx(ModelArtifact(tmp_path, "onnx", (), (), {"model": "model.onnx"}))
    assert [n.op_type for n in found.graph.node] == ["MatMul", "Reshape"]


def test_a_fixed_batch_is_looked_into_with_as_many_rows(tmp_path):
    model = turned()
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 2
    source, info, _ = opened(model, tmp_path / "model")
    assert info.op_families == ("linear",)
    assert "verbatim" not in source.metadata


def test_scalars_that_are_folded_need_no_second_look(tmp_path, monkeypatch):
    """A large model would be written and run once more for them."""
    nodes = [node("Sqrt", ["four"], ["two"]), *plain()]
    nodes[-1].output[0] = "z"
    nodes.append(node("Mul", ["z", "two"], ["y"]))
    monkeypatch.setattr("hamerspace.tasks.sources.onnx.check_onnx", None)
    model = _model(nodes, {"w1": FIRST, "w2": SECOND, "four": np.float32(4)})
    source, _, _ = opened(model, tmp_path / "model")
    assert "verbatim" not in source.metadata
    assert [n.op_type for n in read_onnx(source).graph.node] == ["MatMul", "Relu", "MatMul", "Mul"]


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_weights_that_are_inputs_too_are_quantised(tmp_path, monkeypatch, dtype):
    """As IR version 3 has them, in another precision than float32."""
    monkeypatch.chdir(tmp_path)
    weights = {"w1": FIRST.astype(dtype), "w2": SECOND.astype(dtype)}
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    model = _model(plain(), weights, kind=kind, opset=12)
    held = [helper.make_tensor_value_info(n, kind, a.shape) for n, a in weights.items()]
    model.graph.input.extend(held)
    model.ir_version = 3
    source, _, example = opened(model, tmp_path / "model")
    size_of(source, "weights_int8", example, tmp_path / "built")
