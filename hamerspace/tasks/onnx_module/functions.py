"""ONNX operators without weights, as PyTorch functions."""

import math
import operator
from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any

import onnx
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from hamerspace.errors import BuildError
from hamerspace.tasks.onnx_module.translate import Translation, fill, handles


def divide(a: Any, b: Any) -> Any:
    """Truncates between integers, as ONNX does."""
    whole = all(isinstance(v, int) or not v.is_floating_point() for v in (a, b))
    return torch.div(a, b, rounding_mode="trunc") if whole else a / b


_ALIKE = (
    *("Abs", "Ceil", "Cos", "Erf", "Exp", "Floor", "IsNaN", "Log", "Neg", "Reciprocal", "Round"),
    *("Sign", "Sin", "Sqrt", "Where", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "IsInf"),
)
"""Operators that have PyTorch's names."""
_OF_INPUTS: dict[str, Callable[..., Any]] = {
    **{name: getattr(torch, name.lower()) for name in _ALIKE},
    **{name: getattr(torch, f"logical_{name.lower()}") for name in ("Not", "And", "Or", "Xor")},
    "Add": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "Div": divide,
    "Pow": operator.pow,
    "Equal": operator.eq,
    "Less": operator.lt,
    "LessOrEqual": operator.le,
    "Greater": operator.gt,
    "GreaterOrEqual": operator.ge,
}
_OF_MANY: dict[str, Callable[..., Any]] = {
    "Max": torch.maximum,
    "Min": torch.minimum,
    "Sum": torch.add,
}
_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "ReduceMean": torch.mean,
    "ReduceSum": torch.sum,
    "ReduceMax": torch.amax,
    "ReduceMin": torch.amin,
    "ReduceL2": torch.linalg.vector_norm,
    "ReduceLogSumExp": torch.logsumexp,
}


@handles(*_OF_INPUTS)
def _of_inputs(t: Translation, node: Any) -> fx.Node:
    return t.call(_OF_INPUTS[node.op_type], *t.inputs(node))


@handles(*_OF_MANY)
def _of_many(t: Translation, node: Any) -> fx.Node:
    return reduce(partial(t.call, _OF_MANY[node.op_type]), t.inputs(node))


@handles("Cast")
def _cast(t: Translation, node: Any) -> fx.Node:
    dtype = onnx.helper.tensor_dtype_to_np_dtype(t.attribute(node, "to", 1))
    return t.call(cast, t.tensor(node.input[0]), getattr(torch, str(dtype)))


@handles("Softmax", "LogSoftmax")
def _softmax(t: Translation, node: Any) -> fx.Node:
    x = node.input[0]
    axis = t.attribute(node, "axis", -1 if t.opset >= 13 else 1)
    if t.opset < 13 and axis not in (-1, t.rank(x) - 1):
        raise BuildError(f"'{node.name}' ({node.op_type}) runs over several dimensions at once")
    function: Any = F.softmax if node.op_type == "Softmax" else F.log_softmax
    return t.call(function, t.tensor(x), dim=axis)


@handles("HardSigmoid")
def _hard_sigmoid(t: Translation, node: Any) -> fx.Node:
    alpha, beta = t.attribute(node, "alpha", 0.2), t.attribute(node, "beta", 0.5)
    scaled = t.call(operator.mul, t.tensor(node.input[0]), alpha)
    return t.call(torch.clamp, t.call(operator.add, scaled, beta), 0.0, 1.0)


@handles("Reshape")
def _reshape(t: Translation, node: Any) -> fx.Node:
    x, target = t.tensor(node.input[0]), t.sizes(node, 1)
    if _flattens(t, node, target):
        # Unlike a fixed width, this goes on working when channels are removed.
        return t.flatten(node, x)
    plain = t.attribute(node, "allowzero", 0) or (isinstance(target, list) and 0 not in target)
    return t.call(torch.reshape if plain else reshape, x, target)


def _flattens(t: Translation, node: Any, target: Any) -> bool:
    """Whether all dimensions but the batch become one."""
    before, after = t.shape(node.input[0]), t.shape(node.output[0])
    if not before or len(before) < 2 or None in before[1:]:
        return False
    width = math.prod(d or 0 for d in before[1:])
    if isinstance(target, list):
        return len(target) == 2 and target[0] in (-1, 0, before[0]) and target[1] in (-1, width)
    return after is not None and after[1:] == [width] and before[0] is None


@handles("Flatten")
def _flatten(t: Translation, node: Any) -> fx.Node:
    axis, x = t.attribute(node, "axis", 1), t.tensor(node.input[0])
    return t.flatten(node, x) if axis == 1 else t.call(flatten, x, axis)


@handles("Transpose")
def _transpose(t: Translation, node: Any) -> fx.Node:
    order = t.attribute(node, "perm", None)
    order = list(reversed(range(t.rank(node.input[0])))) if order is None else list(order)
    return t.call(torch.permute, t.tensor(node.input[0]), order)


@handles("Squeeze")
def _squeeze(t: Translation, node: Any) -> fx.Node:
    axes = _axes(t, node)
    x = t.tensor(node.input[0])
    return t.call(torch.squeeze, x) if axes is None else t.call(torch.squeeze, x, axes)


@handles("Unsqueeze")
def _unsqueeze(t: Translation, node: Any) -> fx.Node:
    x, axes = t.tensor(node.input[0]), _axes(t, node)
    if min(axes) < 0:
        rank = t.rank(node.input[0]) + len(axes)
        axes = [axis % rank for axis in axes]
    for axis in sorted(axes):
        x = t.call(torch.unsqueeze, x, axis)
    return x


def _axes(t: Translation, node: Any) -> Any:
    """The axes, an attribute before they became an input."""
    if t.has(node, 1):
        return tuple(t.sizes(node, 1))
    axes = t.attribute(node, "axes", None)
    return None if axes is None else tuple(axes)


@handles("Concat")
def _concat(t: Translation, node: Any) -> fx.Node:
    return t.call(torch.cat, t.inputs(node), t.attribute(node, "axis", 0))


@handles("Split")
def _split(t: Translation, node: Any) -> list[fx.Node]:
    axis = t.attribute(node, "axis", 0)
    lengths = t.sizes(node, 1) if t.has(node, 1) else t.attribute(node, "split", None)
    x = t.tensor(node.input[0])
    if lengths is None:
        parts = t.call(torch.chunk, x, len(node.output), axis)
    else:
        parts = t.call(torch.split, x, list(lengths), axis)
    return [t.call(operator.getitem, parts, i) for i in range(len(node.output))]


@handles("Slice")
def _slice(t: Translation, node: Any) -> fx.Node:
    if t.has(node, 1):
        starts, ends, axes, steps = (t.sizes(node, i) for i in range(1, 5))
    else:
        starts, ends, axes = (t.attribute(node, name, None) for name in ("starts", "ends", "axes"))
        steps = None
    if isinstance(axes, fx.Node) or isinstance(steps, fx.Node):
        raise BuildError(f"'{node.name}' (Slice) cuts along computed dimensions")
    if steps is not None and min(steps) < 1:
        if steps == [-1] and axes is not None and starts == [-1]:
            return t.call(torch.flip, t.tensor(node.input[0]), axes)
        raise BuildError(f"'{node.name}' (Slice) goes backwards")
    return t.call(window, t.tensor(node.input[0]), starts, ends, axes, steps)


@handles("Gather")
def _gather(t: Translation, node: Any) -> fx.Node:
    axis = t.attribute(node, "axis", 0)
    table = t.constant(node, 0) if t.is_constant(node, 0) else None
    if table is not None and table.ndim == 2 and axis == 0 and table.dtype.kind == "f":
        layer = fill(nn.Embedding(*table.shape), weight=table)
        return t.layer(node, layer, t.tensor(node.input[1]))
    x = t.tensor(node.input[0])
    if t.is_constant(node, 1):
        indices = t.constant(node, 1)
        assert indices is not None
        if indices.ndim == 0:
            return t.call(torch.select, x, axis, int(indices))
        if indices.ndim == 1:
            return t.call(torch.index_select, x, axis, t.tensor(node.input[1]))
    return t.call(gather, x, axis, t.tensor(node.input[1]))


@handles("GatherElements")
def _gather_elements(t: Translation, node: Any) -> fx.Node:
    x, indices = t.inputs(node)
    return t.call(torch.gather, x, t.attribute(node, "axis", 0), indices)


@handles("Expand", "Tile")
def _repeat(t: Translation, node: Any) -> fx.Node:
    function: Any = expand if node.op_type == "Expand" else torch.tile
    return t.call(function, t.tensor(node.input[0]), t.sizes(node, 1))


@handles("ConstantOfShape")
def _constant_of_shape(t: Translation, node: Any) -> fx.Node:
    value = t.attribute(node, "value", None)
    array = None if value is None else onnx.numpy_helper.to_array(value)
    fill_value = 0.0 if array is None else array.reshape(-1)[0].item()
    dtype = torch.float32 if array is None else getattr(torch, str(array.dtype))
    return t.call(torch.full, t.sizes(node, 0), fill_value, dtype=dtype)


@handles("Pad")
def _pad(t: Translation, node: Any) -> fx.Node:
    mode = t.attribute(node, "mode", "constant")
    given = t.constant(node, 1)
    pads = t.attribute(node, "pads", []) if given is None else given.tolist()
    if t.has(node, 3):
        raise BuildError(f"'{node.name}' (Pad) names its dimensions, which is not translated")
    value = t.constant(node, 2)
    filler = t.attribute(node, "value", 0.0) if value is None else value.item()
    rank = len(pads) // 2
    sides = [p for i in reversed(range(rank)) for p in (pads[i], pads[i + rank])]
    while len(sides) > 2 and sides[-2:] == [0, 0]:
        sides = sides[:-2]
    if mode == "constant":
        return t.call(F.pad, t.tensor(node.input[0]), sides, mode, filler)
    known = {"reflect": "reflect", "edge": "replicate"}
    return t.call(F.pad, t.tensor(node.input[0]), sides, known[mode])


@handles(*_REDUCTIONS)
def _reduce(t: Translation, node: Any) -> fx.Node:
    axes = _axes(t, node)
    if axes is None:
        if t.attribute(node, "noop_with_empty_axes", 0):
            return t.tensor(node.input[0])
        axes = tuple(range(t.rank(node.input[0])))
    keep = bool(t.attribute(node, "keepdims", 1))
    return t.call(_REDUCTIONS[node.op_type], t.tensor(node.input[0]), dim=list(axes), keepdim=keep)


@handles("ArgMax", "ArgMin")
def _arg(t: Translation, node: Any) -> fx.Node:
    function = torch.argmax if node.op_type == "ArgMax" else torch.argmin
    axis, keep = t.attribute(node, "axis", 0), bool(t.attribute(node, "keepdims", 1))
    return t.call(function, t.tensor(node.input[0]), axis, keep)


@handles("Einsum")
def _einsum(t: Translation, node: Any) -> fx.Node:
    return t.call(torch.einsum, t.attribute(node, "equation", ""), *t.inputs(node))


@handles("Mod")
def _remainder(t: Translation, node: Any) -> fx.Node:
    """With the sign of the divisor, or of the dividend as C has it."""
    function = torch.fmod if t.attribute(node, "fmod", 0) else torch.remainder
    return t.call(function, *t.inputs(node))


@handles("ScatterElements", "ScatterND")
def _scatter(t: Translation, node: Any) -> fx.Node:
    if t.attribute(node, "reduction", "none") != "none":
        raise BuildError(f"'{node.name}' ({node.op_type}) combines what it writes")
    x, indices, updates = t.inputs(node)
    if node.op_type == "ScatterND":
        return t.call(scatter_nd, x, indices, updates)
    return t.call(torch.scatter, x, t.attribute(node, "axis", 0), indices, updates)


@handles("Trilu")
def _trilu(t: Translation, node: Any) -> fx.Node:
    diagonal = t.sizes(node, 1) if t.has(node, 1) else 0
    function = torch.triu if t.attribute(node, "upper", 1) else torch.tril
    return t.call(function, t.tensor(node.input[0]), diagonal)


@handles("CumSum")
def _cumulative_sum(t: Translation, node: Any) -> fx.Node:
    if t.attribute(node, "exclusive", 0) or t.attribute(node, "reverse", 0):
        raise BuildError(f"'{node.name}' (CumSum) leaves out its own element, or goes backwards")
    axis = t.constant(node, 1)
    assert axis is not None
    return t.call(torch.cumsum, t.tensor(node.input[0]), int(axis.item()))


@handles("TopK")
def _top_k(t: Translation, node: Any) -> list[fx.Node]:
    count = t.sizes(node, 1) if t.has(node, 1) else t.attribute(node, "k", 1)
    flags = [bool(t.attribute(node, name, 1)) for name in ("largest", "sorted")]
    axis = t.attribute(node, "axis", -1)
    found = t.call(top_k, t.tensor(node.input[0]), count, axis, *flags)
    return [t.call(operator.getitem, found, i) for i in range(2)]


@handles("OneHot")
def _one_hot(t: Translation, node: Any) -> fx.Node:
    depth, values = t.constant(node, 1), t.constant(node, 2)
    assert depth is not None
    assert values is not None
    indices, axis = t.tensor(node.input[0]), t.attribute(node, "axis", -1)
    return t.call(one_hot, indices, int(depth.item()), axis, t.tensor(node.input[2]))


@handles("GatherND")
def _gather_nd(t: Translation, node: Any) -> fx.Node:
    if t.attribute(node, "batch_dims", 0):
        raise BuildError(f"'{node.name}' (GatherND) gathers in each row by itself")
    return t.call(gather_nd, *t.inputs(node))


@handles("DepthToSpace")
def _depth_to_space(t: Translation, node: Any) -> fx.Node:
    if t.attribute(node, "mode", "DCR") != "CRD":
        raise BuildError(f"'{node.name}' (DepthToSpace) orders channels as PyTorch does not")
    layer = nn.PixelShuffle(t.attribute(node, "blocksize", 1))
    return t.layer(node, layer, t.tensor(node.input[0]))


def cast(x: Any, dtype: torch.dtype) -> Any:
    """Of a tensor; numbers go with tensors of every type."""
    return x.to(dtype) if isinstance(x, Tensor) else x


def reshape(x: Tensor, target: Sequence[int]) -> Tensor:
    """Zeros in the target stand for the dimension at their place."""
    known = [x.shape[i] if isinstance(d, int) and d == 0 else d for i, d in enumerate(target)]
    return torch.reshape(x, known)


def flatten(x: Tensor, axis: int) -> Tensor:
    """To two dimensions: those before the axis, and those from it on."""
    return torch.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def expand(x: Tensor, target: Sequence[int]) -> Tensor:
    """Both broadcast to each other, as ONNX wants it."""
    return (
        x + torch.zeros(tuple(target), dtype=x.dtype)
        if x.dtype != torch.bool
        else x.expand(tuple(target))
    )


def window(
    x: Tensor,
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int] | None,
    steps: Sequence[int] | None,
) -> Tensor:
    """Slice along several dimensions."""
    where = range(len(starts)) if axes is None else axes
    cuts = [slice(None)] * x.ndim
    for i, axis in enumerate(where):
        cuts[axis] = slice(starts[i], ends[i], 1 if steps is None else steps[i])
    return x[tuple(cuts)]


def gather(x: Tensor, axis: int, indices: Tensor) -> Tensor:
    """Indices of any shape take the place of the dimension; negative ones count from the end."""
    flat = torch.where(indices < 0, indices + x.shape[axis], indices).reshape(-1)
    taken = torch.index_select(x, axis, flat)
    axis %= x.ndim
    return taken.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def gather_nd(x: Tensor, indices: Tensor) -> Tensor:
    """The last dimension of the indices holds one index for each of the first dimensions."""
    return x[tuple(indices.unbind(-1))]


def scatter_nd(x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """A copy that holds the updates where :func:`gather_nd` would take from."""
    return x.index_put(tuple(indices.unbind(-1)), updates)


def top_k(x: Tensor, count: Any, axis: int, largest: bool, in_order: bool) -> Any:
    """Values and indices; the count is a number, or a list of it."""
    count = count[0] if isinstance(count, list) else count
    return torch.topk(x, count, axis, largest, in_order)


def one_hot(indices: Tensor, depth: int, axis: int, values: Tensor) -> Tensor:
    """``values`` are what stands off and on; what lies outside of the depth is off."""
    negative = torch.where(indices < 0, indices + depth, indices).long()
    chosen = negative.unsqueeze(-1) == torch.arange(depth)
    return torch.where(chosen.movedim(-1, axis), values[1], values[0])
