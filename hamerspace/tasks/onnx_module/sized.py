"""ONNX operators whose inputs are all sizes or constants."""

from typing import Any

from torch import fx

from hamerspace.tasks.onnx_module import sizes
from hamerspace.tasks.onnx_module.translate import SIZE_HANDLERS, Translation, handles


@handles(*sizes.OF_TWO, table=SIZE_HANDLERS)
def _of_two_sizes(t: Translation, node: Any) -> fx.Node:
    return t.call(sizes.of_two, node.op_type, t.sizes(node, 0), t.sizes(node, 1))


_OF_ALL: dict[str, Any] = {
    "Gather": sizes.gather,
    "Concat": sizes.concat,
    "Unsqueeze": sizes.unsqueeze,
    "Squeeze": sizes.squeeze,
    "Cast": sizes.cast,
}


@handles(*_OF_ALL, table=SIZE_HANDLERS)
def _of_all(t: Translation, node: Any) -> fx.Node:
    return t.call(_OF_ALL[node.op_type], *(t.sizes(node, i) for i in range(len(node.input))))


@handles("Slice", table=SIZE_HANDLERS)
def _slice_sizes(t: Translation, node: Any) -> fx.Node:
    if t.has(node, 1):
        return t.call(sizes.window, *(t.sizes(node, i) for i in range(5)))
    bounds = (list(t.attribute(node, name, [])) for name in ("starts", "ends"))
    return t.call(sizes.window, t.sizes(node, 0), *bounds)


@handles("ReduceProd", table=SIZE_HANDLERS)
def _product_of_sizes(t: Translation, node: Any) -> fx.Node:
    return t.call(sizes.product, t.sizes(node, 0), bool(t.attribute(node, "keepdims", 1)))
