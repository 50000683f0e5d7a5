"""Lower the precision of a module with what torch has for the CPU."""

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.ao.quantization import get_default_qconfig_mapping, quantize_dynamic
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from hamerspace.errors import BuildError
from hamerspace.tasks.model import Arrays
from hamerspace.tasks.torch_module import NamedModule

_DYNAMIC = {nn.Linear, nn.LSTM, nn.GRU}


def quantize(
    module: NamedModule, kind: str, example: tuple[Tensor, ...], calibration: Sequence[Arrays]
) -> NamedModule:
    """Return ``module`` in another precision; it may be changed in place.

    Args:
        module: Loaded for inference.
        kind: ``none``, ``bf16``, ``dynamic_int8`` (weights int8, activations quantised as they
            come) or ``static_int8`` (both int8, with ranges seen in calibration).
        example: Inputs in call order.
        calibration: Batches for ``static_int8``.

    Raises:
        BuildError: The module cannot be traced symbolically, or nothing in it was quantised.
    """
    if kind == "none":
        return module
    if kind == "bf16":
        inner = module.inner.to(torch.bfloat16)
    elif kind == "dynamic_int8":
        inner = quantize_dynamic(module.inner, _DYNAMIC, dtype=torch.qint8)  # type: ignore[no-untyped-call]
        _check_quantized(inner, "dynamic_int8")
    else:
        inner = _static(module, example, calibration)
    return NamedModule(inner, module.inputs, module.outputs, module.keywords)


def _static(
    module: NamedModule, example: tuple[Tensor, ...], calibration: Sequence[Arrays]
) -> nn.Module:
    """Post-training static quantisation in FX graph mode, for the engine of this processor."""
    mapping = get_default_qconfig_mapping(torch.backends.quantized.engine)
    try:
        with slow_attention():
            prepared = prepare_fx(module.inner, mapping, example)
    except Exception as error:
        text = (str(error).strip().splitlines() or [""])[0]
        raise BuildError(
            f"static int8 needs a forward that torch.fx can trace, without control flow that "
            f"depends on the data: {type(error).__name__}: {text}"
        ) from error
    observed = NamedModule(prepared, module.inputs, module.outputs, module.keywords)
    for batch in calibration:
        observed.run(batch)
    converted: nn.Module = convert_fx(prepared)
    _check_quantized(converted, "static_int8")
    return converted


def _check_quantized(module: nn.Module, kind: str) -> None:
    if not any("quantized" in type(m).__module__ for m in module.modules()):
        raise BuildError(f"{kind} found no layer that it can quantise in this model")


@contextlib.contextmanager
def slow_attention() -> Iterator[None]:
    """Keep transformer layers off the fused path, which reads weights as plain tensors."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=before)
