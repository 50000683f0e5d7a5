"""ONNX operators on the sizes of tensors: lists of Python numbers, or one number."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

Number = Any  # int, float, or what a tracer puts in their place
Sizes = Any  # list of numbers, or one


def shape(x: Tensor, start: int = 0, end: int | None = None) -> list[Number]:
    return list(x.shape[start:end])


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


def unsqueeze(sizes: Sizes, axes: Sizes = None) -> Sizes:  # noqa: ARG001 - a number has one way
    return [sizes]


def squeeze(sizes: Sizes, axes: Sizes = None) -> Sizes:  # noqa: ARG001 - a list of one has one way
    return sizes[0]


def cast(sizes: Sizes) -> Sizes:
    return sizes


def product(sizes: Sizes, keepdims: bool) -> Sizes:
    result = math.prod(sizes)
    return [result] if keepdims else result


def of_two(operator_type: str, a: Sizes, b: Sizes) -> Sizes:
    """Apply a function of :data:`OF_TWO` by element; a list of one goes with every other."""
    function = OF_TWO[operator_type]
    left, right = _listed(a), _listed(b)
    length = max(len(left), len(right))
    left = left * length if len(left) == 1 else left
    right = right * length if len(right) == 1 else right
    found = [function(x, y) for x, y in zip(left, right, strict=True)]
    return found if isinstance(a, list) or isinstance(b, list) else found[0]


def divide(a: Number, b: Number) -> Number:
    return a // b if isinstance(b, int) and not isinstance(a, float) else a / b


OF_TWO: dict[str, Callable[[Number, Number], Number]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "Div": divide,
    "Max": max,
    "Min": min,
}


def _listed(sizes: Sizes) -> list[Number]:
    return sizes if isinstance(sizes, list) else [sizes]
