"""ONNX graphs as every tool takes them: functions inlined, what is constant computed.

Exporters leave weights within model-local functions and behind Transpose, Cast, Reshape or the
arithmetic of a parametrisation. The runtime folds that at load, so to look at such a model means
to look at what comes of it. Files stay as they are: only what is read into memory changes.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, external_data_helper, helper, inliner, numpy_helper

from hamerspace.tasks.model import ModelArtifact

_QUANTIZED = re.compile(r"^Q[A-Z]|uantize|Integer(ToFloat)?$|NBits$|Bnb4$")
"""Names of operators by which a model stores or computes in few bits."""
_DRAWN = ("Bernoulli", "Multinomial", "Random")
"""How the names of operators start that give other values each time."""
_SMALL_BYTES = 1024
"""Shapes and scalars may grow by as much when they are computed."""
_STANDARD = ("", "ai.onnx")
_OTHER_FLOATS = (TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)


def read_onnx(model: ModelArtifact) -> Any:
    """Read a model with all its weights, functions inlined and constants folded.

    Returns:
        An ``onnx.ModelProto``.
    """
    path = model.file("model")
    proto = onnx.load(path, load_external_data=False)
    verbatim = bool(model.metadata.get("verbatim"))
    if proto.functions and not verbatim:
        proto = inliner.inline_local_functions(proto, convert_version=True)
    external_data_helper.load_external_data_for_model(proto, str(path.parent))
    return proto if verbatim else fold_constants(proto)


def foldable(proto: Any) -> bool:
    """Whether :func:`read_onnx` may change weights, and not only shapes and scalars."""
    matrices = {name for name, tensor in named_tensors(proto.graph) if len(tensor.dims) > 1}
    nodes = (n for n in _constant_nodes(proto.graph) if n.op_type not in ("Shape", "Size"))
    return bool(proto.functions) or any(matrices.intersection(node.input) for node in nodes)


def fold_constants(proto: Any, *, untie: bool = False) -> Any:
    """Compute the nodes that depend on constants only, in place, save those that fail.

    Subgraphs are left alone, and so is what would grow: integers that become floating-point
    numbers, or a tensor that other nodes read as it is. A floating-point number counts as one of
    float32, whichever it is.

    Args:
        proto: An ``onnx.ModelProto`` with its weights in memory.
        untie: Whether what other nodes read, too, may be copied.
    """
    graph = proto.graph
    nodes = _constant_nodes(graph)
    if not nodes:
        return proto
    sizes = {name: _bytes(tensor, as_float32=True) for name, tensor in named_tensors(graph)}
    readers = Counter(name for node in graph.node for name in read_by([node]))
    folded: set[int] = set()
    for group in _groups(nodes):
        read = Counter(name for node in group for name in read_by([node]))
        made = [name for node in group for name in node.output if readers[name] > read[name]]
        try:
            tensors = _computed(proto, group, read, made)
        except Exception:  # noqa: BLE001, S112 - a type or an operator that cannot be run alone
            continue
        spared = sum(sizes.get(n, 0) for n in read if untie or readers[n] == read[n])
        grown = sum(_bytes(tensor, as_float32=True) for tensor in tensors) - spared
        if grown <= _SMALL_BYTES:
            graph.initializer.extend(tensors)
            folded.update(map(id, group))
    refill(graph.node, [node for node in graph.node if id(node) not in folded])
    used = read_by(graph.node) | {value.name for value in (*graph.input, *graph.output)}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    if len(kept) < len(graph.initializer):
        refill(graph.initializer, kept)
    return proto


def in_float32(proto: Any) -> bool:
    """Make a model of another floating-point type compute in float32, in place.

    Inputs and outputs keep their types; weights are no inputs any more, as IR version 3 had them.

    Returns:
        Whether anything lost digits: there were doubles.
    """
    held = {tensor.name for tensor in proto.graph.initializer}
    refill(proto.graph.input, [value for value in proto.graph.input if value.name not in held])
    proto.ir_version = max(proto.ir_version, 4)  # the first in which that is allowed
    narrower = TensorProto.DOUBLE in _kinds(proto)
    renamed: dict[str, str] = {}
    before, after = [], []
    for value in (*proto.graph.input, *proto.graph.output):
        kind = value.type.tensor_type.elem_type
        if kind not in _OTHER_FLOATS:
            continue
        inner = renamed[value.name] = f"{value.name}__float32"
        if value in proto.graph.input:
            before.append(helper.make_node("Cast", [value.name], [inner], to=TensorProto.FLOAT))
        else:
            after.append(helper.make_node("Cast", [inner], [value.name], to=kind))
    values = list(proto.graph.value_info)
    for number, graph in enumerate(graphs_of(proto.graph)):
        values += [*graph.value_info, *graph.input, *graph.output] if number else []
        for tensor in _tensors(graph):
            if tensor.data_type in _OTHER_FLOATS:
                floats = numpy_helper.to_array(tensor).astype(np.float32)
                tensor.CopyFrom(numpy_helper.from_array(floats, tensor.name))
        for node in graph.node:
            _rewrite(node, renamed)
    for value in values:
        if value.type.tensor_type.elem_type in _OTHER_FLOATS:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    refill(proto.graph.node, [*before, *proto.graph.node, *after])
    return narrower


def has_other_floats(proto: Any) -> bool:
    """Whether a graph holds or takes floating-point numbers other than float32."""
    return not _kinds(proto).isdisjoint(_OTHER_FLOATS)


def is_quantized(op_type: str) -> bool:
    """Whether an operator is of models that are quantised already."""
    return _QUANTIZED.search(op_type) is not None


def load_session(model: Path | bytes, *, optimized: bool = True) -> Any:
    """Open a model in ONNX Runtime, on the CPU and without its warnings."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def graphs_of(graph: Any) -> Iterator[Any]:
    """A graph and those within its nodes."""
    yield graph
    for node in graph.node:
        for inner in _subgraphs(node):
            yield from graphs_of(inner)


def read_by(nodes: Any) -> set[str]:
    """Names that nodes read, within them too, where any name may be one of the outside."""
    names = {name for node in nodes for name in node.input}
    for inner in (graph for node in nodes for graph in _subgraphs(node)):
        names |= read_by(inner.node) | {value.name for value in inner.output}
    return names


def refill(field: Any, values: Sequence[Any]) -> None:
    """Let a repeated field of a graph hold other values, which may be some of its own."""
    del field[:]
    field.extend(values)


def external_files(proto: Any) -> list[str]:
    """Names of the files beside a model in which it keeps weights; sorted."""
    return sorted(
        {
            external_data_helper.ExternalDataInfo(tensor).location
            for graph in graphs_of(proto.graph)
            for tensor in _tensors(graph)
            if external_data_helper.uses_external_data(tensor)
        }
    )


def weight_bytes(proto: Any) -> int:
    """Bytes of the tensors that a graph holds, wherever they lie.

    Protobuf's own ``ByteSize`` raises beyond 2 GiB.
    """
    return sum(_bytes(tensor) for graph in graphs_of(proto.graph) for tensor in _tensors(graph))


def weights_by_type(proto: Any) -> dict[str, int]:
    """Number of weights by type, matrices and larger, as the graph stores them.

    Integers count where an operator reads them as weights in few bits. A tensor of blocks, which
    is bytes, counts as what they hold.
    """
    counts: Counter[str] = Counter()
    for graph in graphs_of(proto.graph):
        readers = _readers(graph)
        for name, tensor in named_tensors(graph):
            if len(tensor.dims) < 2:
                continue
            dtype = helper.tensor_dtype_to_string(tensor.data_type)
            dtype = dtype.removeprefix("TensorProto.").lower()
            dtype = {"float": "float32", "double": "float64"}.get(dtype, dtype)
            size = math.prod(tensor.dims)
            if "float" in dtype:
                scales = [_block_bits(node) for node, _ in readers.get(name, ())]
                counts[dtype] += 0 if scales and all(scales) else size
                continue
            for node, position in readers.get(name, ()):
                if _holds_weights(node, position, readers):
                    bits = _block_bits(node)
                    packed = 8 // bits if bits and dtype == "uint8" else 1
                    counts[f"uint{bits}" if bits else dtype] += size * packed
                    break
    return {dtype: count for dtype, count in counts.items() if count}


def _constant_nodes(graph: Any) -> list[Any]:
    """What depends on constants only, save the constants themselves, in the order of the graph."""
    outputs = {value.name for value in graph.output}
    known = {t.name for t in graph.initializer} - {value.name for value in graph.input}
    found = []
    for node in graph.node:
        if node.domain not in _STANDARD or outputs.intersection(node.output):
            continue
        if node.op_type == "Constant":
            known.update(node.output)
            continue
        kept = is_quantized(node.op_type) or node.op_type.startswith(_DRAWN) or _subgraphs(node)
        inputs = [name for name in node.input if name]
        if inputs and known.issuperset(inputs) and not kept:
            found.append(node)
            known.update(node.output)
    return found


def _groups(nodes: list[Any]) -> list[list[Any]]:
    """Nodes that read what others of them make, together."""
    group_of: dict[str, list[Any]] = {}
    for node in nodes:
        group = [node]
        for name in node.input:
            before = group_of.get(name)
            if before is not None and before is not group:
                before += group
                group = before
                group_of.update((output, group) for other in group for output in other.output)
        group_of.update((output, group) for output in node.output)
    unique = {id(group): group for group in group_of.values()}
    order = {id(node): position for position, node in enumerate(nodes)}
    return [sorted(group, key=lambda node: order[id(node)]) for group in unique.values()]


def _subgraphs(node: Any) -> list[Any]:
    """The branches of If, the body of Loop or Scan."""
    return [g for a in node.attribute for g in ([a.g] if a.HasField("g") else a.graphs)]


def _computed(proto: Any, nodes: list[Any], read: Mapping[str, int], made: list[str]) -> list[Any]:
    """What ``nodes`` make, as tensors, from the constants that they ``read``."""
    constants = [n for n in proto.graph.node if n.op_type == "Constant" and n.output[0] in read]
    graph = helper.make_graph(
        [*constants, *nodes],
        "constants",
        [],
        [helper.make_empty_tensor_value_info(name) for name in made],
        [tensor for tensor in proto.graph.initializer if tensor.name in read],
    )
    model = helper.make_model(
        graph, opset_imports=proto.opset_import, ir_version=max(proto.ir_version, 4)
    )
    session = load_session(model.SerializeToString(), optimized=False)
    values = session.run(made, {}) if made else []
    return [numpy_helper.from_array(v, name) for name, v in zip(made, values, strict=True)]


def _rewrite(node: Any, renamed: Mapping[str, str]) -> None:
    """Let a node read and write other tensors, and name float32 where it names a type."""
    node.input[:] = [renamed.get(name, name) for name in node.input]
    node.output[:] = [renamed.get(name, name) for name in node.output]
    for attribute in node.attribute:
        if attribute.name in ("to", "dtype") and attribute.i in _OTHER_FLOATS:
            attribute.i = TensorProto.FLOAT


def _kinds(proto: Any) -> set[int]:
    """Types of what a graph takes, gives and holds."""
    values = (*proto.graph.input, *proto.graph.output)
    held = (tensor for graph in graphs_of(proto.graph) for tensor in _tensors(graph))
    return {v.type.tensor_type.elem_type for v in values} | {t.data_type for t in held}


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def named_tensors(graph: Any) -> Iterator[tuple[str, Any]]:
    """Initializers and the values of ``Constant`` nodes, by name."""
    yield from ((tensor.name, tensor) for tensor in graph.initializer)
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].HasField("t"):
            yield node.output[0], node.attribute[0].t


def _bytes(tensor: Any, *, as_float32: bool = False) -> int:
    """Bytes of a tensor, or what they were if its floating-point numbers were float32."""
    kind = tensor.data_type
    if kind == TensorProto.STRING:
        return sum(len(text) for text in tensor.string_data)
    kind = TensorProto.FLOAT if as_float32 and kind in _OTHER_FLOATS else kind
    return int(math.prod(tensor.dims)) * int(helper.tensor_dtype_to_np_dtype(kind).itemsize)


def _readers(graph: Any) -> Mapping[str, list[tuple[Any, int]]]:
    found: dict[str, list[tuple[Any, int]]] = {}
    for inner in graphs_of(graph):
        for node in inner.node:
            for position, name in enumerate(node.input):
                found.setdefault(name, []).append((node, position))
    return found


def _holds_weights(node: Any, position: int, readers: Mapping[str, list[tuple[Any, int]]]) -> bool:
    if is_quantized(node.op_type):
        return not _block_bits(node) or position == (0 if "Gather" in node.op_type else 1)
    # A table that is looked up, or weights that are turned, before they are scaled.
    moving = node.op_type in ("Gather", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
    return moving and any(
        _holds_weights(after, index, readers) for after, index in readers.get(node.output[0], ())
    )


def _block_bits(node: Any) -> int:
    """Bits of what an operator reads in blocks; 0 of others."""
    if node.op_type not in ("GatherBlockQuantized", "MatMulNBits", "MatMulBnb4"):
        return 0
    return next((int(a.i) for a in node.attribute if a.name == "bits"), 4)
