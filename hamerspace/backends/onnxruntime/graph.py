"""Bring an ONNX graph into the form that the quantisers take."""

import math
from itertools import chain, count
from typing import Any

from onnx import TensorProto, checker, version_converter

from hamerspace._text import first_line
from hamerspace.backends._onnx_constants import constants_to_initializers
from hamerspace.errors import BuildError


def normalize(proto: Any) -> Any:
    """Give every node a name of its own and every weight the form of an initializer, in place.

    The quantisers find weights among the initializers only, not in ``Constant`` nodes, and skip
    initializers that are inputs too, as IR version 3 had them.

    Args:
        proto: An ``onnx.ModelProto`` with its weights in memory.

    Returns:
        The same model.
    """
    graph = proto.graph
    constants_to_initializers(graph)
    initializers = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in initializers]
    if len(inputs) < len(graph.input):
        graph.ClearField("input")
        graph.input.extend(inputs)
    proto.ir_version = max(proto.ir_version, 4)  # the first in which that is allowed
    name_nodes(graph)
    return proto


def name_nodes(graph: Any) -> None:
    """Name nodes that have no name, or that of another, after their first output."""
    taken = {node.name for node in graph.node}
    seen = {""}
    for node in graph.node:
        if node.name in seen:
            name = f"{node.op_type}_{next(filter(None, node.output), '')}"
            names = chain([name], (f"{name}_{i}" for i in count(1)))
            node.name = next(other for other in names if other not in taken)
            taken.add(node.name)
        seen.add(node.name)


def weight_counts(graph: Any, op_types: tuple[str, ...]) -> dict[str, int]:
    """Number of floating-point weights of each node of some types, by name, in the graph's order.

    A node without weights, such as a product of two activations, has none.
    """
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
    sizes = {t.name: math.prod(t.dims) for t in graph.initializer if t.data_type in floats}
    return {
        node.name: sum(sizes.get(name, 0) for name in node.input)
        for node in graph.node
        if node.op_type in op_types
    }


def opset(proto: Any) -> int:
    """Version of the default operator set that a model imports."""
    versions = [entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")]
    return max(versions, default=1)


def raise_opset(proto: Any, minimum: int, what_for: str) -> Any:
    """Return ``proto``, converted where its opset is below ``minimum``.

    Raises:
        BuildError: The conversion fails; ``what_for`` says what needs the newer opset.
    """
    if opset(proto) >= minimum:
        return proto
    try:
        converted = version_converter.convert_version(proto, minimum)
        checker.check_model(converted)
    except Exception as error:
        raise BuildError(
            f"{what_for} needs opset {minimum}, and the model of opset {opset(proto)} cannot be "
            f"converted: {first_line(error)}; export it again with opset {minimum} or newer"
        ) from error
    return converted
