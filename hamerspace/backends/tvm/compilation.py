"""From an ONNX model to a shared library, by TVM's relax frontend and LLVM."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tvm
from onnx import helper, numpy_helper
from tvm.relax.frontend.onnx import from_onnx


def read(path: Path) -> Any:
    """Read a model with its weights, constants as initialisers.

    The frontend knows ``Constant`` nodes that hold a tensor only, not those that hold numbers.
    """
    model = onnx.load(path)
    graph, nodes = model.graph, []
    for node in model.graph.node:
        value = _constant(node) if node.op_type == "Constant" else None
        if value is None:
            nodes.append(node)
        else:
            graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def interface(model: Any) -> tuple[list[str], list[str]]:
    """Names of what the compiled function takes, and of what it returns, in order."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in weights]
    return inputs, [value.name for value in model.graph.output]


def compile_library(model: Any, shapes: Mapping[str, list[int]], library: Path) -> None:
    """Compile for the processor at hand; needs a C compiler for the linking.

    Args:
        model: What :func:`read` returned.
        shapes: Shapes to fix inputs to; others are free where the model says so.
        library: The file to write.
    """
    module = from_onnx(model, shape_dict=dict(shapes) or None, keep_params_in_input=False)
    target = tvm.target.Target.from_device("cpu")
    tvm.compile(module, target=target).export_library(str(library))


def _constant(node: Any) -> Any:
    """The value of a ``Constant`` node that holds numbers; ``None`` of one that holds a tensor."""
    attribute = node.attribute[0]
    dtypes = {
        "value_int": np.int64,
        "value_ints": np.int64,
        "value_float": np.float32,
        "value_floats": np.float32,
    }
    if attribute.name not in dtypes:
        return None
    return np.asarray(helper.get_attribute_value(attribute), dtypes[attribute.name])
