"""Linear layers on the operators of bitsandbytes, which ``torch.export`` can store.

Its own modules keep the quantised weights in attributes of parameters, where export loses them.
"""

from collections.abc import Callable, Collection

import torch
from bitsandbytes.functional import int8_vectorwise_quant, quantize_4bit
from torch import Tensor, nn

_BLOCK = 64


class Int8Linear(nn.Module):
    """Int8 weights with one scale a row, activations quantised as they come.

    LLM.int8() of Dettmers et al. 2022 (<https://arxiv.org/abs/2208.07339>) without its columns in
    float16 for outliers.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight, scales, _ = int8_vectorwise_quant(layer.weight.detach().half())
        self.register_buffer("weight", weight)
        self.register_buffer("scales", scales)
        self.bias = layer.bias

    def forward(self, values: Tensor) -> Tensor:
        rows = values.reshape(-1, values.shape[-1])
        quantized, scales, _ = torch.ops.bitsandbytes.int8_vectorwise_quant(rows)
        result: Tensor = torch.ops.bitsandbytes.int8_scaled_mm(
            quantized, self.weight, scales, self.scales, bias=self.bias, dtype=values.dtype
        )
        return result.reshape(*values.shape[:-1], -1)


class Nf4Linear(nn.Module):
    """Weights in 4-bit NormalFloat, blocks of 64 with a scale each; arithmetic in bfloat16.

    The data type is that of Dettmers et al. 2023 (<https://arxiv.org/abs/2305.14314>).
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        packed, state = quantize_4bit(layer.weight.detach(), blocksize=_BLOCK, quant_type="nf4")
        self.register_buffer("weight", packed)
        self.register_buffer("scales", state.absmax)
        self.shape = tuple(layer.weight.shape)
        self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach().bfloat16())

    def forward(self, values: Tensor) -> Tensor:
        weight = torch.ops.bitsandbytes.dequantize_4bit(
            self.weight, self.scales, _BLOCK, "nf4", self.shape, torch.bfloat16
        )
        return nn.functional.linear(values.bfloat16(), weight, self.bias).to(values.dtype)


_LAYERS: dict[str, Callable[[nn.Linear], nn.Module]] = {
    "bitsandbytes_int8": Int8Linear,
    "bitsandbytes_nf4": Nf4Linear,
}


def swap(inner: nn.Module, layers: Collection[str], kind: str) -> nn.Module:
    """Put quantised layers in the place of the named linear ones, in place."""
    for name in layers:
        layer = inner.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        inner.set_submodule(name, _LAYERS[kind](layer).eval())
    return inner
