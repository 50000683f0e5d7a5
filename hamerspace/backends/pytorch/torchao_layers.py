"""Linear layers whose weights torchao quantises."""

import logging
import warnings
from collections.abc import Callable, Collection
from typing import Any

from torch import nn

logging.getLogger("torchao").setLevel(logging.ERROR)
with warnings.catch_warnings(action="ignore"):
    from torchao.quantization import (
        Float8DynamicActivationFloat8WeightConfig,
        Int8DynamicActivationInt8WeightConfig,
        Int8WeightOnlyConfig,
        PerRow,
        quantize_,
    )

_CONFIGS: dict[str, Callable[[], Any]] = {
    "torchao_int8": Int8DynamicActivationInt8WeightConfig,
    "torchao_int8_weights": Int8WeightOnlyConfig,
    "torchao_fp8": lambda: Float8DynamicActivationFloat8WeightConfig(granularity=PerRow()),
}


def swap(inner: nn.Module, layers: Collection[str], kind: str) -> nn.Module:
    """Lower the named linear layers of a module, in place.

    The scales are one a row: of the weights for each output, of the activations for each row that
    comes in.
    """
    quantize_(inner, _CONFIGS[kind](), lambda _, name: name in layers)
    return inner
