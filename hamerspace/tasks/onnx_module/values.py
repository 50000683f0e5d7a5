"""What an ONNX tensor is while its graph is translated."""

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
from torch import fx


@dataclass(frozen=True)
class Constant:
    """Known now: a weight, or what is computed from constants only."""

    array: npt.NDArray[Any]


@dataclass(frozen=True)
class Computed:
    """A tensor when the module runs."""

    node: fx.Node


@dataclass(frozen=True)
class Sizes:
    """Python numbers when the module runs, computed from shapes: a list, or one number.

    As tensors they would freeze the batch size when the module is traced.
    """

    node: fx.Node


Value = Constant | Computed | Sizes
