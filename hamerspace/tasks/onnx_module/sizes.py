"""ONNX operators on the sizes of tensors: lists of Python numbers, or one number."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import onnx
import torch
from torch import fx

from hamerspace.tasks.onnx_module.translate import SIZE_HANDLERS, Translation, handles

Number = Any  # int, float, or what a tracer puts in their place
Sizes = Any  # list of numbers, or one


def gather(sizes: Sizes, indices: Sizes) -> Sizes:
    if isinstance(indices, Sequence):
        return [sizes[i] for i in indices]
    return sizes[indices]


def window(
    sizes: Sizes,
    starts: Sizes,
    ends: Sizes,
    axes: Sizes = None,  # noqa: ARG001 - there is one axis
    steps: Sizes = None,
) -> Sizes:
    step = 1 if steps is None else steps[0]
    return sizes[starts[0] : ends[0] : step]


def concat(*parts: Sizes) -> Sizes:
    return [number for part in parts for number in part]


def unsqueeze(sizes: Sizes, *_axes: Sizes) -> Sizes:
    return [sizes]


def squeeze(sizes: Sizes, *_axes: Sizes) -> Sizes:
    return sizes[0]


def product(sizes: Sizes, keepdims: bool) -> Sizes:
    result = math.prod(sizes)
    return [result] if keepdims else result


def of_two(operator_type: str, a: Sizes, b: Sizes) -> Sizes:
    """Apply a function of :data:`OF_TWO` by element."""
    return _by_element(OF_TWO[operator_type], a, b)


def divide(a: Number, b: Number) -> Number:
    """Without a remainder between integers."""
    return a / b if any(isinstance(n, _FLOATS) for n in (a, b)) else a // b


def of_each(operator_type: str, sizes: Sizes) -> Sizes:
    """Apply a function of :data:`OF_ONE` by element."""
    return _by_element(OF_ONE[operator_type], sizes)


def where(condition: Sizes, a: Sizes, b: Sizes) -> Sizes:
    return _by_element(lambda chosen, x, y: x if chosen else y, condition, a, b)


def reshape(sizes: Sizes, target: Sequence[int]) -> Sizes:
    """A list, or one number where the target has no dimensions."""
    return _listed(sizes) if len(target) else _listed(sizes)[0]


_FLOATS = (float, torch.SymFloat)
OF_TWO: dict[str, Callable[[Number, Number], Number]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "Div": divide,
    "Pow": operator.pow,
    "Mod": operator.mod,
    "Max": max,
    "Min": min,
    "Equal": operator.eq,
    "Less": operator.lt,
    "LessOrEqual": operator.le,
    "Greater": operator.gt,
    "GreaterOrEqual": operator.ge,
}
OF_ONE: dict[str, Callable[[Number], Number]] = {
    "Sqrt": lambda number: number**0.5,
    "Neg": operator.neg,
    "Abs": abs,
    "Floor": math.floor,
    "Ceil": math.ceil,
    "to float": torch.sym_float,
    "to int": torch.sym_int,
}
"""ONNX's operators of one input, and the casts."""


def _by_element(function: Callable[..., Number], *given: Sizes) -> Sizes:
    """A list of one goes with every other; of numbers alone it is one."""
    parts = [_listed(part) for part in given]
    length = max(map(len, parts))
    rows = zip(*(part * length if len(part) == 1 else part for part in parts), strict=True)
    found = [function(*row) for row in rows]
    return found if any(isinstance(part, list) for part in given) else found[0]


def _listed(sizes: Sizes) -> list[Number]:
    return sizes if isinstance(sizes, list) else [sizes]


@handles(*OF_TWO, table=SIZE_HANDLERS)
def _of_two_sizes(t: Translation, node: Any) -> fx.Node:
    return t.call(of_two, node.op_type, t.sizes(node, 0), t.sizes(node, 1))


_OF_ALL: dict[str, Any] = {
    "Gather": gather,
    "Concat": concat,
    "Unsqueeze": unsqueeze,
    "Squeeze": squeeze,
    "Where": where,
    "Reshape": reshape,
}


@handles(*_OF_ALL, table=SIZE_HANDLERS)
def _of_all(t: Translation, node: Any) -> fx.Node:
    return t.call(_OF_ALL[node.op_type], *(t.sizes(node, i) for i in range(len(node.input))))


@handles("Slice", table=SIZE_HANDLERS)
def _slice_sizes(t: Translation, node: Any) -> fx.Node:
    if t.has(node, 1):
        return t.call(window, *(t.sizes(node, i) for i in range(5)))
    bounds = (list(t.attribute(node, name, [])) for name in ("starts", "ends"))
    return t.call(window, t.sizes(node, 0), *bounds)


@handles("ReduceProd", table=SIZE_HANDLERS)
def _product_of_sizes(t: Translation, node: Any) -> fx.Node:
    return t.call(product, t.sizes(node, 0), bool(t.attribute(node, "keepdims", 1)))


@handles("Sqrt", "Neg", "Abs", "Floor", "Ceil", table=SIZE_HANDLERS)
def _of_each_size(t: Translation, node: Any) -> fx.Node:
    return t.call(of_each, node.op_type, t.sizes(node, 0))


@handles("Cast", table=SIZE_HANDLERS)
def _cast_sizes(t: Translation, node: Any) -> fx.Node:
    kind = onnx.helper.tensor_dtype_to_np_dtype(t.attribute(node, "to", 1)).kind
    sizes = t.tensor(node.input[0])
    if kind == "b":
        return sizes
    return t.call(of_each, "to int" if kind in "iu" else "to float", sizes)


def arange(start: Sizes, limit: Sizes, step: Sizes) -> torch.Tensor:
    """A tensor, as long as the sizes say."""
    return torch.arange(*(_listed(number)[0] for number in (start, limit, step)))


@handles("Range")
def _range(t: Translation, node: Any) -> fx.Node:
    return t.call(arange, *(t.sizes(node, i) for i in range(3)))
