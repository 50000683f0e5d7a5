"""A graph of layers, from ``torch.export``, of a forward that ``torch.fx`` cannot follow."""

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, fx, nn

from hamerspace.tasks.torch_module import NamedModule

PREFIX = "inner."
"""Before the names of the layers, as the graph's root is the :class:`NamedModule`."""

_LAYERS = (nn.Linear, nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm)  # noqa: SLF001 - the common bases
_LAYER_FUNCTIONS = {"linear", "conv1d", "conv2d", "conv3d", "batch_norm"}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add.Tensor": operator.add,
    "add_.Tensor": operator.add,
    "mul.Tensor": operator.mul,
    "mul_.Tensor": operator.mul,
    "cat.default": torch.cat,
    "relu.default": F.relu,
    "relu_.default": F.relu,
    "max_pool1d.default": F.max_pool1d,
    "max_pool2d.default": F.max_pool2d,
    "avg_pool2d.default": F.avg_pool2d,
    "adaptive_avg_pool2d.default": F.adaptive_avg_pool2d,
}
"""Operators by the functions by which torch.ao knows them; arguments are the same."""
_METHODS = {
    "view.default": "reshape",
    "_unsafe_view.default": "reshape",
    "reshape.default": "reshape",
    "flatten.using_ints": "flatten",
    "expand.default": "expand",
    "sym_size.int": "size",
}
"""The same for methods; TorchScript then follows sizes, which it does not through operators."""


def layers_of(module: NamedModule, example: tuple[Tensor, ...]) -> fx.GraphModule:
    """Trace for the branches that ``example`` takes.

    Args:
        module: Loaded for inference; its layers are those of the result.
        example: Inputs in call order.

    Returns:
        A module of the inputs by position that returns the outputs as a tuple.
    """
    # Automatic dimensions become fixed where the forward needs that, without an error.
    free = torch.export.Dim.AUTO
    shapes = (tuple(dict.fromkeys(range(x.ndim), free) for x in example),)
    with torch.no_grad():
        program = torch.export.export(module, example, dynamic_shapes=shapes, strict=False)
    traced = program.module(check_guards=False)
    graph = traced.graph
    root: dict[str, Any] = {**dict(module.named_modules()), **_constants(traced)}
    layers: dict[str, nn.Module] = {n: m for n, m in root.items() if isinstance(m, _LAYERS)}
    for node in list(graph.nodes):
        if node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload):  # noqa: SLF001 - no public name
            _as_torch_ao_knows_it(graph, node, layers, root)
    result = fx.GraphModule(root, graph)
    result.graph.eliminate_dead_code()
    result.recompile()
    return result.eval()


def _as_torch_ao_knows_it(
    graph: fx.Graph, node: fx.Node, layers: dict[str, nn.Module], root: dict[str, Any]
) -> None:
    name = str(node.target).removeprefix("aten.")
    weight = node.args[1] if len(node.args) > 1 else None
    if name.partition(".")[0] in _LAYER_FUNCTIONS and isinstance(weight, fx.Node):
        owner = str(weight.target).rpartition(".")[0]
        if weight.op == "get_attr" and layers.pop(owner, None) is not None:
            with graph.inserting_before(node):
                call = graph.call_module(owner, (node.args[0],))
            node.replace_all_uses_with(call)
            graph.erase_node(node)
        elif owner in root:
            _with_weights_of_its_own(graph, node, root)
    elif name in _FUNCTIONS and not node.kwargs:
        node.target = _FUNCTIONS[name]
    elif name in _METHODS:
        node.op, node.target = "call_method", _METHODS[name]
        # A list of sizes among traced ones would be taken for numbers that never change.
        if name != "flatten.using_ints" and isinstance(node.args[-1], list | tuple):
            node.args = (*node.args[:-1], *node.args[-1])
    elif name.startswith(("_assert", "sym_constrain")):
        graph.erase_node(node)


def _with_weights_of_its_own(graph: fx.Graph, node: fx.Node, root: dict[str, Any]) -> None:
    """Keep another call of a layer in float: torch.ao fuses the first with what follows it."""
    for part in [n for n in node.all_input_nodes if n.op == "get_attr"]:
        target = f"again_{str(part.target).replace('.', '_')}"
        root[target] = root[str(part.target)]
        with graph.inserting_before(node):
            node.replace_input_with(part, graph.get_attr(target))


def _constants(traced: nn.Module) -> dict[str, Any]:
    """What the trace alone holds, and every parameter and buffer."""
    named = {**dict(traced.named_parameters()), **dict(traced.named_buffers())}
    own = {n: v for n, v in vars(traced).items() if isinstance(v, Tensor)}
    return {**own, **named}
