"""Small ONNX models, each with one property that trips a quantiser."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from hamerspace.tasks.model import ModelArtifact, TensorSpec

node = helper.make_node


def _weight(name, *shape, seed=0, scale=0.3):
    values = np.random.default_rng(seed).normal(0, scale, shape)
    return numpy_helper.from_array(values.astype(np.float32), name)


def _value(spec):
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype))
    dims = ["batch" if d is None else d for d in spec.shape]
    return helper.make_tensor_value_info(spec.name, kind, dims)


def save(folder, nodes, weights, inputs, outputs, *, opset=17, ir_version=8):
    folder.mkdir(parents=True, exist_ok=True)
    values = [_value(spec) for spec in inputs]
    if ir_version == 3:  # initializers were inputs, too
        values += [helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in weights]
    graph = helper.make_graph(nodes, "small", values, [_value(s) for s in outputs], weights)
    imports = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=ir_version)
    onnx.checker.check_model(model)
    onnx.save_model(model, folder / "model.onnx")
    metadata = {"model": "model.onnx"}
    return ModelArtifact(folder, "onnx", inputs, outputs, metadata).save()


def old_net(folder, opset):
    """A convolution and a Gemm as IR version 3 and opsets 9 to 12 write them."""
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1] * 4),
        node("Clip", ["c"], ["r"], min=0.0, max=6.0)
        if opset < 11
        else node("Clip", ["c", "low", "high"], ["r"]),
        node("GlobalAveragePool", ["r"], ["p"]),
        node("Squeeze", ["p"], ["s"], axes=[2, 3]),
        node("Gemm", ["s", "v", "b"], ["y"]),
    ]
    weights = [_weight("w", 16, 3, 3, 3), _weight("v", 16, 5, seed=1), _weight("b", 5, seed=2)]
    if opset >= 11:
        weights += [
            numpy_helper.from_array(np.float32(0), "low"),
            numpy_helper.from_array(np.float32(6), "high"),
        ]
    return save(
        folder,
        nodes,
        weights,
        (TensorSpec("x", "float32", (None, 3, 8, 8)),),
        (TensorSpec("y", "float32", (None, 5)),),
        opset=opset,
        ir_version=3,
    )


def branching(folder, *, opset=17):
    """Products outside and within the branches of an If: x[?, 8] to y[?, 4]."""

    def branch(name, nodes, weights):
        out = TensorSpec(f"{name}_out", "float32", (None, 16))
        return helper.make_graph(nodes, name, [], [_value(out)], weights)

    squeeze = [
        node("Unsqueeze", ["a"], ["u"], axes=[2]),
        node("Squeeze", ["u"], ["else_out"], axes=[2]),
    ]
    nodes = [
        node("MatMul", ["x", "first"], ["a"]),
        node("ReduceSum", ["x"], ["sum"], keepdims=0),
        node("Greater", ["sum", "zero"], ["positive"]),
        node(
            "If",
            ["positive"],
            ["i"],
            then_branch=branch("then", [node("MatMul", ["a", "shared"], ["then_out"])], []),
            else_branch=branch(
                "else",
                squeeze if opset < 13 else [node("MatMul", ["a", "own"], ["else_out"])],
                [] if opset < 13 else [_weight("own", 16, 16, seed=3)],
            ),
        ),
        node("MatMul", ["i", "shared"], ["p"]),
        node("MatMul", ["p", "last"], ["y"]),
    ]
    weights = [
        _weight("first", 8, 16),
        _weight("shared", 16, 16, seed=1),
        _weight("last", 16, 4, seed=2),
        numpy_helper.from_array(np.float32(0), "zero"),
    ]
    return save(
        folder,
        nodes,
        weights,
        (TensorSpec("x", "float32", (None, 8)),),
        (TensorSpec("y", "float32", (None, 4)),),
        opset=opset,
    )


def recurrent(folder, kind="LSTM"):
    """A convolution over time, an LSTM or GRU, a dense layer: x[?, 12, 6] to y[?, 3]."""
    gates, hidden = (4 if kind == "LSTM" else 3), 24
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1, 1]),
        node("Transpose", ["c"], ["t"], perm=[2, 0, 1]),
        node(kind, ["t", "wx", "wh", "b"], ["", "h"], hidden_size=hidden),
        node("Squeeze", ["h", "axis"], ["s"]),
        node("MatMul", ["s", "v"], ["m"]),
        node("Add", ["m", "bias"], ["y"]),
    ]
    weights = [
        _weight("w", 16, 12, 3),
        _weight("wx", 1, gates * hidden, 16, seed=1),
        _weight("wh", 1, gates * hidden, hidden, seed=2),
        _weight("b", 1, 2 * gates * hidden, seed=3),
        _weight("v", hidden, 3, seed=4),
        _weight("bias", 3, seed=5),
        numpy_helper.from_array(np.array([0]), "axis"),
    ]
    return save(
        folder,
        nodes,
        weights,
        (TensorSpec("x", "float32", (None, 12, 6)),),
        (TensorSpec("y", "float32", (None, 3)),),
    )


def uneven(folder):
    """Three dense layers, the middle one with large weights on a feature that hardly varies."""
    rng = np.random.default_rng(9)
    first, middle = rng.normal(0, 0.3, (32, 32)), rng.normal(0, 0.2, (32, 32))
    first[:, 3] *= 0.01
    middle[3, :] = rng.normal(0, 6.0, 32)
    weights = [
        numpy_helper.from_array(first.astype(np.float32), "first"),
        numpy_helper.from_array(middle.astype(np.float32), "middle"),
        _weight("last", 32, 4, seed=1),
    ]
    nodes = [
        node("MatMul", ["x", "first"], ["a"], name="first"),
        node("Tanh", ["a"], ["b"]),
        node("MatMul", ["b", "middle"], ["c"], name="middle"),
        node("Tanh", ["c"], ["d"]),
        node("MatMul", ["d", "last"], ["y"], name="last"),
    ]
    return save(
        folder,
        nodes,
        weights,
        (TensorSpec("x", "float32", (None, 32)),),
        (TensorSpec("y", "float32", (None, 4)),),
    )


def relative_error(backend, candidate, batches, reference):
    """Mean squared difference of the outputs over their mean square."""
    session = backend.load(candidate, 1)
    noise = power = 0.0
    for batch in batches:
        found = {name: np.array(array) for name, array in session.run(batch).items()}
        for name, wanted in reference(batch).items():
            noise += float(np.square(found[name] - wanted).sum())
            power += float(np.square(wanted).sum())
    return noise / power
