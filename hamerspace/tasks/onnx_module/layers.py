"""ONNX operators with weights, pools and activations, as PyTorch modules."""

import operator
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from hamerspace.errors import BuildError
from hamerspace.tasks.onnx_module.translate import Translation, fill, handles

_GLOBAL = {"GlobalAveragePool": "AdaptiveAvgPool", "GlobalMaxPool": "AdaptiveMaxPool"}
_RECURRENT: dict[str, Any] = {
    "LSTM": (nn.LSTM, (0, 2, 3, 1)),
    "GRU": (nn.GRU, (1, 0, 2)),
    "RNN": (nn.RNN, (0,)),
}
"""The class, and which of ONNX's gates is each of PyTorch's."""
_ACTIVATIONS = (
    *("Relu", "Sigmoid", "Tanh", "Elu", "Selu", "LeakyRelu", "Softplus", "Softsign", "HardSwish"),
    *("Gelu", "Celu", "Mish"),
)
"""They have PyTorch's names, in other letters."""
_CLASSES: dict[str, Any] = {name.lower(): kind for name, kind in vars(nn).items()}
_OPTIONS: dict[str, tuple[str, Any]] = {
    "Elu": ("alpha", 1.0),
    "Celu": ("alpha", 1.0),
    "LeakyRelu": ("alpha", 0.01),
    "Gelu": ("approximate", "none"),
}
"""The attribute that an activation has, and its default."""


@handles("Conv")
def _conv(t: Translation, node: Any) -> fx.Node:
    weight = _weight(t, node)
    bias, rank = t.constant(node, 2), weight.ndim - 2
    groups = t.attribute(node, "group", 1)
    strides, dilations = _each(t, node, "strides", rank), _each(t, node, "dilations", rank)
    x, padding = _padded(t, node, weight.shape[2:], strides, dilations, 0.0)
    layer = _kind("Conv", rank)(
        weight.shape[1] * groups,
        weight.shape[0],
        weight.shape[2:],
        strides,
        padding,
        dilations,
        groups,
        bias=bias is not None,
    )
    return t.layer(node, fill(layer, weight=weight, bias=bias), x)


@handles("ConvTranspose")
def _conv_transpose(t: Translation, node: Any) -> fx.Node:
    weight = _weight(t, node)
    bias, rank = t.constant(node, 2), weight.ndim - 2
    groups = t.attribute(node, "group", 1)
    pads = t.attribute(node, "pads", [0] * 2 * rank)
    explicit = t.attribute(node, "auto_pad", "NOTSET") in ("NOTSET", "VALID")
    if not explicit or pads[:rank] != pads[rank:] or t.attribute(node, "output_shape", None):
        raise BuildError(f"the padding of '{node.name}' (ConvTranspose) has no form in PyTorch")
    layer = _kind("ConvTranspose", rank)(
        weight.shape[0],
        weight.shape[1] * groups,
        weight.shape[2:],
        _each(t, node, "strides", rank),
        tuple(pads[:rank]),
        _each(t, node, "output_padding", rank, 0),
        groups,
        bias is not None,
        _each(t, node, "dilations", rank),
    )
    return t.layer(node, fill(layer, weight=weight, bias=bias), t.tensor(node.input[0]))


@handles("Gemm")
def _gemm(t: Translation, node: Any) -> fx.Node:
    alpha, beta = t.attribute(node, "alpha", 1.0), t.attribute(node, "beta", 1.0)
    left = t.attribute(node, "transA", 0)
    if left or not t.is_constant(node, 1) or (t.has(node, 2) and not t.is_constant(node, 2)):
        a, b = t.inputs(node)[:2]
        a = t.call(torch.t, a) if left else a
        b = t.call(torch.t, b) if t.attribute(node, "transB", 0) else b
        product = t.call(torch.mul, t.call(torch.matmul, a, b), alpha)
        if not t.has(node, 2):
            return product
        return t.call(torch.add, product, t.call(torch.mul, t.tensor(node.input[2]), beta))
    weight, bias = t.constant(node, 1), t.constant(node, 2)
    assert weight is not None
    weight = weight if t.attribute(node, "transB", 0) else weight.T
    if bias is not None:
        if bias.size not in (1, weight.shape[0]):
            raise BuildError(f"the bias of '{node.name}' (Gemm) differs between rows")
        bias = np.broadcast_to(bias.reshape(-1) * beta, (weight.shape[0],))
    return _linear(t, node, weight * alpha, bias)


@handles("MatMul")
def _matmul(t: Translation, node: Any) -> fx.Node:
    weight = t.constant(node, 1) if t.is_constant(node, 1) else None
    if weight is None or weight.ndim != 2 or weight.dtype.kind != "f":
        return t.call(torch.matmul, *t.inputs(node))
    return _linear(t, node, weight.T, t.bias_after(node, weight.shape[1]))


def _linear(t: Translation, node: Any, weight: Any, bias: Any) -> fx.Node:
    x = t.tensor(node.input[0])
    if _follows_channels_last(t, node, x):
        height, width, channels = x.meta["dims"]
        weight = weight.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
        weight = weight.reshape(len(weight), -1)
        x.args = (x.args[0].args[0], 1)  # type: ignore[union-attr]
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    return t.layer(node, fill(layer, weight=weight, bias=bias), x)


def _follows_channels_last(t: Translation, node: Any, x: fx.Node) -> bool:
    """Whether the input is a feature map of a convolution, flattened with the channels last.

    With the channels first, as PyTorch flattens, pruning finds the columns of a channel.
    """
    if x.target is not torch.flatten or t.users[node.input[0]] != 1:
        return False
    before = x.args[0]
    moved = isinstance(before, fx.Node) and before.target is torch.permute
    return moved and before.args[1] == [0, 2, 3, 1] and None not in x.meta["dims"]  # type: ignore[union-attr]


@handles("BatchNormalization")
def _batch_norm(t: Translation, node: Any) -> fx.Node:
    if t.attribute(node, "training_mode", 0):
        raise BuildError(f"'{node.name}' (BatchNormalization) is in training mode; export again")
    scale, shift, mean, variance = (t.constant(node, i) for i in range(1, 5))
    assert scale is not None
    layer = _kind("BatchNorm", max(t.rank(node.input[0]) - 2, 1))(
        len(scale),
        t.attribute(node, "epsilon", 1e-5),
        1 - t.attribute(node, "momentum", 0.9),
    )
    fill(layer, weight=scale, bias=shift, running_mean=mean, running_var=variance)
    return t.layer(node, layer, t.tensor(node.input[0]))


@handles("InstanceNormalization")
def _instance_norm(t: Translation, node: Any) -> fx.Node:
    scale, shift = t.constant(node, 1), t.constant(node, 2)
    assert scale is not None
    epsilon = t.attribute(node, "epsilon", 1e-5)
    layer = _kind("InstanceNorm", t.rank(node.input[0]) - 2)(len(scale), epsilon, affine=True)
    return t.layer(node, fill(layer, weight=scale, bias=shift), t.tensor(node.input[0]))


@handles("LayerNormalization")
def _layer_norm(t: Translation, node: Any) -> fx.Node:
    scale, shift = t.constant(node, 1), t.constant(node, 2)
    assert scale is not None
    axis = t.attribute(node, "axis", -1)
    axes = -axis if axis < 0 else t.rank(node.input[0]) - axis
    if scale.ndim != axes:
        raise BuildError(f"the scale of '{node.name}' (LayerNormalization) is spread out")
    layer = nn.LayerNorm(scale.shape, t.attribute(node, "epsilon", 1e-5), bias=shift is not None)
    return t.layer(node, fill(layer, weight=scale, bias=shift), t.tensor(node.input[0]))


@handles("MaxPool")
def _max_pool(t: Translation, node: Any) -> fx.Node:
    if len(node.output) > 1 and t.users[node.output[1]]:
        raise BuildError(f"the indices that '{node.name}' (MaxPool) returns are not translated")
    kernel = t.attribute(node, "kernel_shape", None)
    strides = _each(t, node, "strides", len(kernel))
    dilations = _each(t, node, "dilations", len(kernel))
    x, padding = _padded(t, node, kernel, strides, dilations, float("-inf"))
    ceil = bool(t.attribute(node, "ceil_mode", 0))
    pool = _kind("MaxPool", len(kernel))
    layer = pool(tuple(kernel), strides, padding, dilations, ceil_mode=ceil)
    return t.layer(node, layer, x)


@handles("AveragePool")
def _average_pool(t: Translation, node: Any) -> fx.Node:
    kernel = t.attribute(node, "kernel_shape", None)
    rank = len(kernel)
    include = bool(t.attribute(node, "count_include_pad", 0))
    strides = _each(t, node, "strides", rank)
    x, padding = _padded(t, node, kernel, strides, (1,) * rank, 0.0)
    uneven = x is not t.tensor(node.input[0])
    if max(_each(t, node, "dilations", rank)) > 1 or (uneven and not include):
        raise BuildError(f"the windows of '{node.name}' (AveragePool) have no form in PyTorch")
    ceil = bool(t.attribute(node, "ceil_mode", 0))
    layer = _kind("AvgPool", rank)(tuple(kernel), strides, padding, ceil, include)
    return t.layer(node, layer, x)


@handles(*_GLOBAL)
def _global_pool(t: Translation, node: Any) -> fx.Node:
    layer = _kind(_GLOBAL[node.op_type], t.rank(node.input[0]) - 2)(1)
    return t.layer(node, layer, t.tensor(node.input[0]))


@handles(*_ACTIVATIONS)
def _activation(t: Translation, node: Any) -> fx.Node:
    option = _OPTIONS.get(node.op_type)
    given = [] if option is None else [t.attribute(node, *option)]
    return t.layer(node, _CLASSES[node.op_type.lower()](*given), t.tensor(node.input[0]))


@handles("PRelu")
def _prelu(t: Translation, node: Any) -> fx.Node:
    slope = t.constant(node, 1)
    assert slope is not None
    layer = nn.PReLU(slope.size)
    return t.layer(node, fill(layer, weight=slope.reshape(-1)), t.tensor(node.input[0]))


@handles("Clip")
def _clip(t: Translation, node: Any) -> fx.Node:
    low, high = _bound(t, node, 1, "min"), _bound(t, node, 2, "max")
    x = t.tensor(node.input[0])
    if (low, high) == (0.0, 6.0):
        return t.layer(node, nn.ReLU6(), x)
    return t.call(torch.clamp, x, low, high)


@handles(*_RECURRENT)
def _recurrent(t: Translation, node: Any) -> list[fx.Node]:
    kind, gates = _RECURRENT[node.op_type]
    _refuse_variants(t, node)
    hidden = t.attribute(node, "hidden_size", 0)
    weights, recurrences = t.constant(node, 1), t.constant(node, 2)
    assert weights is not None
    assert recurrences is not None
    directions = len(weights)
    biases = t.constant(node, 3)
    if biases is None:
        biases = np.zeros((directions, 2 * len(gates) * hidden), weights.dtype)
    layer = kind(weights.shape[2], hidden, bidirectional=directions == 2)
    for direction in range(directions):
        suffix = "l0_reverse" if direction else "l0"
        halves = np.split(biases[direction], 2)
        fill(
            layer,
            **{
                f"weight_ih_{suffix}": _reordered(weights[direction], gates),
                f"weight_hh_{suffix}": _reordered(recurrences[direction], gates),
                f"bias_ih_{suffix}": _reordered(halves[0], gates),
                f"bias_hh_{suffix}": _reordered(halves[1], gates),
            },
        )
    states = [t.tensor(node.input[i]) for i in (5, 6) if t.has(node, i)]
    inputs = [t.tensor(node.input[0])]
    if states:
        inputs.append(tuple(states) if node.op_type == "LSTM" else states[0])  # type: ignore[arg-type]
    found = t.layer(node, layer, *inputs)
    sequence = t.call(split_directions, t.call(operator.getitem, found, 0), directions)
    last = t.call(operator.getitem, found, 1)
    if node.op_type != "LSTM":
        return [sequence, last]
    return [sequence, *(t.call(operator.getitem, last, i) for i in range(2))]


_PLAIN = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
"""The activations that PyTorch's layers have."""


def _refuse_variants(t: Translation, node: Any) -> None:
    plain = _PLAIN[node.op_type]
    functions = t.attribute(node, "activations", None)
    names = None if functions is None else [f.decode() for f in functions]
    wrong = [
        names is not None and names not in (plain, plain * 2),
        t.attribute(node, "direction", "forward") == "reverse",
        t.attribute(node, "clip", None) is not None,
        t.attribute(node, "layout", 0) == 1,
        t.attribute(node, "input_forget", 0) == 1,
        node.op_type == "GRU" and not t.attribute(node, "linear_before_reset", 0),
        t.has(node, 4) and not t.is_constant(node, 4),
        node.op_type == "LSTM" and t.has(node, 7),
        node.op_type == "LSTM" and t.has(node, 5) != t.has(node, 6),
    ]
    if any(wrong):
        raise BuildError(
            f"the ONNX node '{node.name}' ({node.op_type}) is of a kind that PyTorch has not"
        )


def _reordered(array: Any, gates: tuple[int, ...]) -> Any:
    parts = np.split(array, len(gates))
    return np.concatenate([parts[i] for i in gates])


def split_directions(sequence: torch.Tensor, directions: int) -> torch.Tensor:
    """From [time, batch, directions * hidden] to ONNX's [time, directions, batch, hidden]."""
    time, batch = sequence.shape[:2]
    return sequence.reshape(time, batch, directions, -1).transpose(1, 2)


def _kind(name: str, dimensions: int) -> Any:
    """The class of a layer for so many dimensions, such as ``nn.Conv2d``."""
    return getattr(nn, f"{name}{dimensions}d")


def _bound(t: Translation, node: Any, index: int, name: str) -> float | None:
    array = t.constant(node, index)
    bound = t.attribute(node, name, None) if array is None else array.item()
    return None if bound is None else float(bound)


def _weight(t: Translation, node: Any) -> Any:
    weight = t.constant(node, 1)
    assert weight is not None
    if not 1 <= weight.ndim - 2 <= 3:
        raise BuildError(f"'{node.name}' ({node.op_type}) has {weight.ndim - 2} dimensions")
    return weight


def _each(t: Translation, node: Any, name: str, rank: int, default: int = 1) -> tuple[int, ...]:
    return tuple(t.attribute(node, name, [default] * rank))


def _padded(
    t: Translation, node: Any, kernel: Any, strides: Any, dilations: Any, value: float
) -> tuple[fx.Node, tuple[int, ...]]:
    """The input, and the padding that is left to the layer: it knows the same on either side."""
    x, rank = t.tensor(node.input[0]), len(kernel)
    pads = _pads(t, node, kernel, strides, dilations)
    fits = value == 0 or all(2 * p <= k for p, k in zip(pads, kernel, strict=False))
    if pads[:rank] == pads[rank:] and fits:
        return x, tuple(pads[:rank])
    # PyTorch pads the last dimension first.
    sides = [p for i in reversed(range(rank)) for p in (pads[i], pads[i + rank])]
    return t.call(F.pad, x, sides, "constant", value), (0,) * rank


def _pads(t: Translation, node: Any, kernel: Any, strides: Any, dilations: Any) -> list[int]:
    """The padding at the start of every dimension, then at their ends."""
    mode, rank = t.attribute(node, "auto_pad", "NOTSET"), len(kernel)
    if mode in ("NOTSET", "VALID"):
        return list(t.attribute(node, "pads", None) or [0] * 2 * rank)
    shape = t.shape(node.input[0])
    sizes = [None] * rank if shape is None else shape[2:]
    starts, ends = [], []
    for known, k, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        if known is None and stride > 1:
            raise BuildError(f"'{node.name}' ({node.op_type}) pads by a size that is not fixed")
        size = 1 if known is None else known
        total = max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        less, more = total // 2, total - total // 2
        starts.append(less if mode == "SAME_UPPER" else more)
        ends.append(more if mode == "SAME_UPPER" else less)
    return starts + ends
