"""Outputs of an ONNX graph that are no tensors of numbers: nothing but ONNX Runtime has them."""

from typing import Any

import onnx

_KINDS = {
    "sequence_type": "a sequence",
    "map_type": "a map",
    "optional_type": "an optional value",
    "sparse_tensor_type": "a sparse tensor",
}


def take_out_others(graph: Any) -> dict[str, str]:
    """Take out what is no tensor of numbers, with the nodes that make nothing else.

    Classifiers that scikit-learn's converters write end so: in a ZipMap, or in labels of text.

    Returns:
        What it is, by name.
    """
    found = {value.name: kind for value in graph.output if (kind := _kind(value.type))}
    if not found:
        return {}
    kept = [value for value in graph.output if value.name not in found]
    del graph.output[:]
    graph.output.extend(kept)
    unused = set(found)
    for node in reversed(list(graph.node)):
        if not unused.isdisjoint(node.output) and _used(graph).isdisjoint(node.output):
            unused.update(node.input)
            graph.node.remove(node)
    return found


def _kind(value: Any) -> str:
    if value.tensor_type.elem_type == onnx.TensorProto.STRING:
        return "text"
    return _KINDS.get(value.WhichOneof("value"), "")


def _used(graph: Any) -> set[str]:
    """Names that something needs; within nodes too, where any name may be one of the outside."""
    found = {value.name for value in graph.output}
    for node in graph.node:
        found.update(node.input)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                found |= _used(inner)
    return found
