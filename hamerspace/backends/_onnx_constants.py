"""Constants of an ONNX graph as initializers, where tools look for weights."""

from typing import Any

import numpy as np
from onnx import helper, numpy_helper

_NUMBERS = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def constants_to_initializers(graph: Any, *, tensors: bool = True) -> None:
    """Turn ``Constant`` nodes into initializers, in place; texts and sparse tensors stay.

    Args:
        graph: Of an ``onnx.ModelProto`` with its weights in memory.
        tensors: Whether those that hold a tensor are turned too, not only those that hold numbers.
    """
    kept = []
    for node in graph.node:
        tensor = _constant(node, tensors)
        if tensor is None:
            kept.append(node)
        else:
            tensor.name = node.output[0]
            graph.initializer.append(tensor)
    if len(kept) < len(graph.node):
        graph.ClearField("node")
        graph.node.extend(kept)


def _constant(node: Any, tensors: bool) -> Any | None:
    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx"):
        return None
    attribute = node.attribute[0]
    if attribute.name == "value":
        return attribute.t if tensors else None
    dtype = _NUMBERS.get(attribute.name)
    value = helper.get_attribute_value(attribute)
    return None if dtype is None else numpy_helper.from_array(np.array(value, dtype))
