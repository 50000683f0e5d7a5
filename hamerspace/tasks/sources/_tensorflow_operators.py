"""Which operators of TensorFlow only compute, and whether a graph has others."""

import importlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

_COMPUTE = (
    "array", "audio", "bitwise", "control_flow", "ctc", "cudnn_rnn", "data_flow", "functional",
    "image", "linalg", "list", "lookup", "manip", "map", "math", "nn", "parsing", "ragged_array",
    "ragged_conversion", "ragged_math", "random", "resource_variable", "rnn", "set", "sparse",
    "special_math", "spectral", "state", "stateless_random", "stateless_random_ops_v2", "string",
    "uniform_quant",
)  # fmt: skip
"""Groups of TensorFlow's operators; those of them that it registers as stateless only compute."""
_OWN_STATE = ("cudnn_rnn", "random", "resource_variable", "state", "stateful_random")
"""Groups whose state is the model's own: weights and random numbers."""
_NAMED = frozenset(
    {
        "AnonymousHashTable", "AnonymousMutableDenseHashTable", "AnonymousMutableHashTable",
        "AnonymousMutableHashTableOfTensors", "Assert", "Case", "CheckNumerics",
        "CheckNumericsV2", "DeviceIndex", "GuaranteeConst", "HashTable", "HashTableV2", "If",
        "InitializeTable", "InitializeTableV2", "LookupTableExportV2", "LookupTableFind",
        "LookupTableFindV2", "LookupTableImportV2", "LookupTableInsertV2", "LookupTableRemoveV2",
        "LookupTableSizeV2", "MutableDenseHashTableV2", "MutableHashTableV2",
        "Print", "StatefulPartitionedCall", "TensorArrayConcatV3", "TensorArrayGatherV3",
        "TensorArrayReadV3", "TensorArrayScatterV3", "TensorArraySizeV3", "TensorArraySplitV3",
        "TensorArrayV3", "TensorArrayWriteV3", "While", "XlaCallModule", "XlaConvV2", "XlaDot",
        "XlaDynamicUpdateSlice", "XlaGather", "XlaPad", "XlaSort",
    }
)  # fmt: skip
"""Others that inference needs: control flow, tables in memory, arrays of loops, older jax2tf."""
_SAID = {"log(info)", "log(warning)", "log(error)", "stderr", "stdout", ""}
"""Where ``PrintV2`` may write; it can name a file instead."""
_NEVER = frozenset({"Abort"})
_FROM_FILE = "InitializeTableFromTextFileV2"
_RESTORE = frozenset({"RestoreV2"})

Parts = set[tuple[bool, str]]
"""Nodes (false) and functions (true) of a graph by their names."""


def reaching_out(meta_graph: Any) -> list[str]:
    """Operators that may touch more than the model: files, Python, the network, other processes.

    What only saves is passed over, as nothing runs it; what only restores may read the checkpoint.

    Args:
        meta_graph: A ``MetaGraphDef``.
    """
    graph, saver = _Graph(meta_graph.graph_def), meta_graph.saver_def
    saving = graph.below(_node(saver.save_tensor_name))
    restoring = graph.below(_node(saver.restore_op_name))
    outputs = [t.name for s in meta_graph.signature_def.values() for t in s.outputs.values()]
    outputs += [name for c in meta_graph.collection_def.values() for name in c.node_list.value]
    called = meta_graph.object_graph_def.concrete_functions
    elsewhere = graph.nodes.keys() - saving - restoring
    run = graph.below(*map(_node, outputs), *((True, name) for name in called), *elsewhere)
    harmless = _computing() | graph.harmless(run) | _tables_of_assets(graph, run, meta_graph)
    found = graph.operators(run) | (graph.operators(restoring) - _RESTORE)
    return sorted(found - harmless)


def _tables_of_assets(graph: "_Graph", run: Parts, meta_graph: Any) -> set[str]:
    """The reader of tables, where all that it reads are assets within the model's folder."""
    assets = {_node(asset.tensor_info.name): asset.filename for asset in meta_graph.asset_file_def}
    objects = meta_graph.object_graph_def
    own = all(Path(name).name == name for name in assets.values())
    for function, name, node in graph.placed(run, _FROM_FILE):
        file = node.input[1]
        if function and not graph.is_called_within(name):
            # What a function is given last are objects of the model, as its record tells.
            bound = list(objects.concrete_functions[name].bound_inputs)
            given = dict(zip(reversed(graph.arguments[name]), reversed(bound), strict=False))
            own &= file in given and objects.nodes[given[file]].HasField("asset")
        else:
            own &= not function and _node(file) in assets
    return {_FROM_FILE} if own else set()


class _Graph:
    """A ``GraphDef`` by its parts.

    Attributes:
        nodes: What each part is made of: a node of itself, a function of its nodes.
        arguments: Names of those of each function, in order.
    """

    def __init__(self, graph: Any) -> None:
        functions = {f.signature.name: f for f in graph.library.function}
        self.nodes: dict[tuple[bool, str], Sequence[Any]] = {
            **{(False, node.name): [node] for node in graph.node},
            **{(True, name): function.node_def for name, function in functions.items()},
        }
        self.arguments = {n: [a.name for a in f.signature.input_arg] for n, f in functions.items()}

    def below(self, *parts: tuple[bool, str]) -> Parts:
        """These parts, and all that they take and call."""
        found: Parts = set()
        waiting = list(parts)
        while waiting:
            part = waiting.pop()
            if part in found or part not in self.nodes:
                continue
            found.add(part)
            for node in self.nodes[part]:
                waiting += [(True, name) for name in _calls(node)]
                if not part[0]:
                    waiting += map(_node, node.input)
        return found

    def operators(self, parts: Parts) -> set[str]:
        """Operators of parts; a call by a function's name is none."""
        return {node.op for part in parts for node in self.nodes[part]} - self.arguments.keys()

    def placed(self, parts: Parts, operator: str) -> Iterator[tuple[bool, str, Any]]:
        """Nodes of an operator, each with the part that holds it."""
        for part in parts:
            yield from ((*part, node) for node in self.nodes[part] if node.op == operator)

    def is_called_within(self, function: str) -> bool:
        """Whether another function calls it."""
        within = (node for part, nodes in self.nodes.items() if part[0] for node in nodes)
        return any(function in _calls(node) for node in within)

    def harmless(self, parts: Parts) -> set[str]:
        """``PrintV2``, where all of these write to a stream or a log."""
        said = (node.attr["output_stream"].s for _, _, node in self.placed(parts, "PrintV2"))
        streams = {stream.decode("utf-8", "replace") for stream in said}
        return {"PrintV2"} if streams <= _SAID else set()


def _node(tensor: str) -> tuple[bool, str]:
    return False, tensor.removeprefix("^").partition(":")[0]


def _calls(node: Any) -> Iterator[str]:
    yield node.op
    for value in node.attr.values():
        yield value.func.name
        yield from (function.name for function in value.list.func)


@cache
def _computing() -> frozenset[str]:
    """What of this TensorFlow only computes."""
    from tensorflow.python.framework import op_def_registry

    found = set(_NAMED)
    for group in {*_COMPUTE, *_OWN_STATE}:
        suffix = "" if group.endswith("_v2") else "_ops"
        module = importlib.import_module(f"tensorflow.python.ops.gen_{group}{suffix}")
        for name in vars(module):
            registered = op_def_registry.get(name)
            if registered is not None and (group in _OWN_STATE or not registered.is_stateful):
                found.add(name)
    return frozenset(found - _NEVER)
