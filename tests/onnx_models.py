"""Tiny ONNX models with fixed weights, written as source artifacts."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from hamerspace.tasks.model import Arrays, ModelArtifact, TensorSpec


def conv_net(folder: Path, *, opset: int = 17, external_data: bool = False) -> ModelArtifact:
    """Conv, BatchNorm, Relu twice, a pooling and a Gemm: image[?, 3, 16, 16] to logits[?, 5]."""
    rng = np.random.default_rng(7)
    weights = {
        "w1": rng.normal(0, 0.3, (8, 3, 3, 3)),
        "w2": rng.normal(0, 0.2, (32, 8, 3, 3)),
        "w3": rng.normal(0, 0.3, (32, 5)),
        "b3": rng.normal(0, 0.1, 5),
    }
    for layer, channels in ((1, 8), (2, 32)):
        weights[f"scale{layer}"] = rng.uniform(0.5, 1.5, channels)
        weights[f"shift{layer}"] = rng.normal(0, 0.2, channels)
        weights[f"mean{layer}"] = rng.normal(0, 0.2, channels)
        weights[f"var{layer}"] = rng.uniform(0.5, 2.0, channels)
    nodes = []
    for layer, (start, stride) in enumerate((("image", 1), ("r1", 2)), start=1):
        norm = [f"{kind}{layer}" for kind in ("scale", "shift", "mean", "var")]
        nodes += [
            helper.make_node(
                "Conv", [start, f"w{layer}"], [f"c{layer}"], pads=[1] * 4, strides=[stride] * 2
            ),
            helper.make_node("BatchNormalization", [f"c{layer}", *norm], [f"n{layer}"]),
            helper.make_node("Relu", [f"n{layer}"], [f"r{layer}"]),
        ]
    nodes += [
        helper.make_node("GlobalAveragePool", ["r2"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["logits"]),
    ]
    return _save(
        folder,
        nodes,
        weights,
        (TensorSpec("image", "float32", (None, 3, 16, 16)),),
        (TensorSpec("logits", "float32", (None, 5)),),
        opset=opset,
        external_data=external_data,
    )


def depthwise(folder: Path) -> ModelArtifact:
    """As MobileNet has them: image[?, 3, 16, 16] to y[?, 5]."""
    rng = np.random.default_rng(8)
    shapes = {"a": (16, 3, 3, 3), "b": (16, 1, 3, 3), "c": (24, 16, 1, 1), "d": (24, 5)}
    weights = {name: rng.normal(0, 0.3, shape) for name, shape in shapes.items()}
    weights |= {f"bias_{name}": rng.normal(0, 0.1, shapes[name][0]) for name in "abc"}
    nodes = []
    for before, name, groups in (("image", "a", 1), ("ra", "b", 16), ("rb", "c", 1)):
        pads = [1 if shapes[name][2] == 3 else 0] * 4
        inputs = [before, name, f"bias_{name}"]
        nodes += [
            helper.make_node("Conv", inputs, [f"k{name}"], pads=pads, group=groups),
            helper.make_node("Relu", [f"k{name}"], [f"r{name}"]),
        ]
    nodes += [
        helper.make_node("GlobalAveragePool", ["rc"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "d"], ["y"]),
    ]
    image, y = (
        TensorSpec(n, "float32", (None, *d)) for n, d in (("image", (3, 16, 16)), ("y", (5,)))
    )
    return _save(folder, nodes, weights, (image,), (y,))


def encoder(folder: Path) -> ModelArtifact:
    """One transformer block over token ids.

    ids int64[?, 8] and gate float32[?, 1] to logits float32[?, 4] and hidden float32[?, 8, 32]:
    two inputs of different types and two outputs, whose order must survive.
    """
    rng = np.random.default_rng(11)
    width, hidden = 32, 64
    weights = {
        "table": rng.normal(0, 1.0, (100, width)),
        **{name: rng.normal(0, width**-0.5, (width, width)) for name in ("wq", "wk", "wv", "wo")},
        "w1": rng.normal(0, width**-0.5, (width, hidden)),
        "b1": rng.normal(0, 0.1, hidden),
        "w2": rng.normal(0, hidden**-0.5, (hidden, width)),
        "b2": rng.normal(0, 0.1, width),
        "head": rng.normal(0, width**-0.5, (width, 4)),
        "root": np.array(width**-0.5),
        "g1": rng.uniform(0.8, 1.2, width),
        "g2": rng.uniform(0.8, 1.2, width),
        "z": np.zeros(width),
    }
    node = helper.make_node
    nodes = [
        node("Gather", ["table", "ids"], ["x"]),
        node("MatMul", ["x", "wq"], ["q"]),
        node("MatMul", ["x", "wk"], ["k"]),
        node("MatMul", ["x", "wv"], ["v"]),
        node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        node("MatMul", ["q", "kt"], ["dots"]),
        node("Mul", ["dots", "root"], ["scaled"]),
        node("Softmax", ["scaled"], ["weights"], axis=-1),
        node("MatMul", ["weights", "v"], ["mixed"]),
        node("MatMul", ["mixed", "wo"], ["projected"]),
        node("Add", ["x", "projected"], ["sum1"]),
        node("LayerNormalization", ["sum1", "g1", "z"], ["norm1"]),
        node("MatMul", ["norm1", "w1"], ["m1"]),
        node("Add", ["m1", "b1"], ["a1"]),
        node("Relu", ["a1"], ["r1"]),
        node("MatMul", ["r1", "w2"], ["m2"]),
        node("Add", ["m2", "b2"], ["a2"]),
        node("Add", ["norm1", "a2"], ["sum2"]),
        node("LayerNormalization", ["sum2", "g2", "z"], ["hidden"]),
        node("Constant", [], ["first"], value_int=0),
        node("Gather", ["hidden", "first"], ["pooled"], axis=1),
        node("MatMul", ["pooled", "head"], ["raw"]),
        node("Sigmoid", ["gate"], ["open"]),
        node("Mul", ["raw", "open"], ["logits"]),
    ]
    return _save(
        folder,
        nodes,
        weights,
        (TensorSpec("ids", "int64", (None, 8)), TensorSpec("gate", "float32", (None, 1))),
        (
            TensorSpec("logits", "float32", (None, 4)),
            TensorSpec("hidden", "float32", (None, 8, 32)),
        ),
    )


def stateful(folder: Path) -> ModelArtifact:
    """A recurrent layer whose first state is an input: frames[?, 6], state[1, 1, 4] to score[?, 1].

    The rows of a call are the steps of one sequence; ``last`` is the state after them.
    """
    rng = np.random.default_rng(3)
    weights = {
        "w": rng.normal(0, 0.5, (1, 4, 6)),
        "r": rng.normal(0, 0.5, (1, 4, 4)),
        "head": rng.normal(0, 1.0, (4, 1)),
    }
    node = helper.make_node
    nodes = [
        node("Constant", [], ["axis"], value_ints=[1]),
        node("Unsqueeze", ["frames", "axis"], ["steps"]),
        node("RNN", ["steps", "w", "r", "", "", "state"], ["all", "last"], hidden_size=4),
        node("Constant", [], ["flat"], value_ints=[-1, 4]),
        node("Reshape", ["all", "flat"], ["rows"]),
        node("MatMul", ["rows", "head"], ["score"]),
    ]
    return _save(
        folder,
        nodes,
        weights,
        (
            TensorSpec("frames", "float32", (None, 6)),
            TensorSpec("state", "float32", (1, 1, 4), constant=True),
        ),
        (TensorSpec("score", "float32", (None, 1)), TensorSpec("last", "float32", (1, 1, 4))),
    )


def recogniser(folder: Path, *, batch: int | None = None) -> ModelArtifact:
    """Frames read in order: frames[batch, 6, 8] to logits[6, batch, 5], and two places.

    ``places`` are the same two for whatever rows.
    """
    rng = np.random.default_rng(6)
    weights = {
        "w1": rng.normal(0, 0.5, (8, 32)),
        "w2": rng.normal(0, 0.3, (32, 5)),
        "p": rng.normal(0, 1.0, (2, 4)),
    }
    node = helper.make_node
    nodes = [
        node("Transpose", ["frames"], ["steps"], perm=[1, 0, 2]),
        node("MatMul", ["steps", "w1"], ["m1"]),
        node("Relu", ["m1"], ["r1"]),
        node("MatMul", ["r1", "w2"], ["logits"]),
        node("Identity", ["p"], ["places"]),
    ]
    return _save(
        folder,
        nodes,
        weights,
        (TensorSpec("frames", "float32", (batch, 6, 8)),),
        (
            TensorSpec("places", "float32", (2, 4), row_axis=None),
            TensorSpec("logits", "float32", (6, batch, 5), row_axis=1),
        ),
    )


def gated(folder: Path, *, batch: int | None = None) -> ModelArtifact:
    """A GRU over five steps and a linear layer: steps[batch, 5, 8] to score[batch, 3]."""
    rng = np.random.default_rng(4)
    weights = {
        "w": rng.normal(0, 0.4, (1, 48, 8)),
        "r": rng.normal(0, 0.3, (1, 48, 16)),
        "head": rng.normal(0, 0.5, (16, 3)),
    }
    node = helper.make_node
    nodes = [
        node("Transpose", ["steps"], ["sequence"], perm=[1, 0, 2]),
        node("GRU", ["sequence", "w", "r"], ["", "last"], hidden_size=16),
        node("Constant", [], ["first"], value_ints=[0]),
        node("Squeeze", ["last", "first"], ["state"]),
        node("MatMul", ["state", "head"], ["score"]),
    ]
    return _save(
        folder,
        nodes,
        weights,
        (TensorSpec("steps", "float32", (batch, 5, 8)),),
        (TensorSpec("score", "float32", (batch, 3)),),
    )


def half_net(folder: Path) -> ModelArtifact:
    """A float16 interface: x[?, 4] to y[?, 4]."""
    nodes = [helper.make_node("Tanh", ["x"], ["y"])]
    specs = [(TensorSpec(name, "float16", (None, 4)),) for name in ("x", "y")]
    return _save(folder, nodes, {}, specs[0], specs[1])


def inputs(source: ModelArtifact, rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    """One seeded batch."""
    rng = np.random.default_rng(seed)
    return {spec.name: spec.sample(rows, rng) for spec in source.inputs}


def calibration(
    source: ModelArtifact, count: int = 8, rows: int = 4
) -> list[dict[str, np.ndarray]]:
    """Seeded batches."""
    return [inputs(source, rows, seed) for seed in range(100, 100 + count)]


def reference(source: ModelArtifact) -> Callable[[Arrays], Arrays]:
    """What the ONNX standard's own reference implementation computes."""
    evaluator = ReferenceEvaluator(str(source.file("model")))
    names = [spec.name for spec in source.outputs]
    return lambda batch: dict(zip(names, evaluator.run(names, dict(batch)), strict=True))


def _save(
    folder: Path,
    nodes: Sequence[onnx.NodeProto],
    weights: dict[str, np.ndarray],
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    *,
    opset: int = 17,
    external_data: bool = False,
) -> ModelArtifact:
    folder.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [_value(spec) for spec in inputs],
        [_value(spec) for spec in outputs],
        [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save_model(
        model,
        folder / "model.onnx",
        save_as_external_data=external_data,
        location="weights.bin",
        size_threshold=64,
    )
    metadata: dict[str, Any] = {"model": "model.onnx"}
    if external_data:
        metadata["external"] = ["weights.bin"]
    return ModelArtifact(folder, "onnx", inputs, outputs, metadata).save()


def _value(spec: TensorSpec) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype))
    return helper.make_tensor_value_info(
        spec.name, kind, ["batch" if d is None else d for d in spec.shape]
    )
