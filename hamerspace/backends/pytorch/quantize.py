"""Lower the precision of a module, wholly or but for some layers."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from hamerspace.backends._sensitivity import check_known
from hamerspace.errors import BuildError
from hamerspace.tasks.model import Arrays
from hamerspace.tasks.torch_module import NamedModule

Swap = Callable[[nn.Module, Collection[str]], nn.Module]

_RECURRENT = (nn.LSTM, nn.GRU)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_HALF = {"fp16": torch.float16, "bf16": torch.bfloat16}


def quantizable_layers(module: NamedModule, kind: str) -> dict[str, int]:
    """Name and number of weights of every layer that a scheme lowers to integers or 4 bits."""
    types: tuple[type[nn.Module], ...] = (nn.Linear,)
    if kind == "dynamic_int8":
        types = (nn.Linear, *_RECURRENT)
    elif kind == "static_int8":
        types = (nn.Linear, *_CONVOLUTIONS)
    return {
        name: sum(p.numel() for p in layer.parameters())
        for name, layer in module.inner.named_modules()
        # Subclasses have forwards of their own, which the quantised type would replace.
        if type(layer) in types
    }


def quantize(
    module: NamedModule,
    kind: str,
    example: tuple[Tensor, ...],
    calibration: Sequence[Arrays],
    keep: Sequence[str] = (),
) -> NamedModule:
    """Return ``module`` in another precision; it may be changed in place.

    Args:
        module: Loaded for inference, on the device where it will run.
        kind: A name of :data:`~hamerspace.backends.pytorch.schemes.SCHEMES`.
        example: Inputs in call order.
        calibration: Batches for ``static_int8``, whose ranges it sees.
        keep: Layers that stay in floating point.

    Raises:
        BuildError: The module cannot be traced symbolically, or nothing in it was quantised.
    """
    if kind == "none":
        return module
    if kind in _HALF:
        inner = module.inner.to(_HALF[kind])
    else:
        layers = quantizable_layers(module, kind)
        check_known(keep, layers, kind)
        wanted = [name for name in layers if name not in keep]
        if not wanted and kind != "static_int8":
            raise BuildError(f"{kind} found no layer that it can quantise in this model")
        if kind == "static_int8":
            inner = _static(module, example, calibration, dict.fromkeys(keep, False))
        else:
            inner = _swap_of(kind)(_in_gpu_precision(module.inner, kind, example), wanted)
    return NamedModule(inner, module.inputs, module.outputs, module.keywords)


def quantize_one(
    module: NamedModule,
    kind: str,
    example: tuple[Tensor, ...],
    calibration: Sequence[Arrays],
    layer: str,
) -> NamedModule:
    """Return ``module`` with one layer quantised; it may be changed in place."""
    if kind == "static_int8":
        inner = _static(module, example, calibration, {layer: True})
    else:
        inner = _swap_of(kind)(_in_gpu_precision(module.inner, kind, example), [layer])
    return NamedModule(inner, module.inputs, module.outputs, module.keywords)


def _in_gpu_precision(inner: nn.Module, kind: str, example: tuple[Tensor, ...]) -> nn.Module:
    """What torchao leaves in floating point is bfloat16 on a GPU, as its kernels there want it."""
    on_gpu = any(tensor.is_cuda for tensor in example)
    return inner.to(torch.bfloat16) if on_gpu and kind.startswith("torchao") else inner


def _swap_of(kind: str) -> Swap:
    """The function that lowers named layers; its package is imported here, if it has one."""
    if kind.startswith("torchao"):
        from hamerspace.backends.pytorch import torchao_layers

        return torchao_layers.swap_of(kind)
    if kind.startswith("bitsandbytes"):
        from hamerspace.backends.pytorch import bitsandbytes_layers

        return bitsandbytes_layers.swap_of(kind)
    return _dynamic


def _dynamic(inner: nn.Module, layers: Collection[str]) -> nn.Module:
    """Weights in int8, activations quantised as they come."""
    from torch.ao.quantization import default_dynamic_qconfig, quantize_dynamic

    spec = dict.fromkeys(layers, default_dynamic_qconfig)
    quantized: nn.Module = quantize_dynamic(inner, spec, dtype=torch.qint8)  # type: ignore[no-untyped-call]
    return quantized


def _static(
    module: NamedModule,
    example: tuple[Tensor, ...],
    calibration: Sequence[Arrays],
    exceptions: Mapping[str, bool],
) -> nn.Module:
    """Post-training static quantisation in FX graph mode, for the engine of this processor.

    Args:
        module: What to quantise.
        example: Inputs in call order.
        calibration: Batches whose ranges are taken.
        exceptions: Layers that alone are quantised (true), or alone are not (false).
    """
    from torch.ao.quantization import QConfigMapping, get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    mapping = get_default_qconfig_mapping(torch.backends.quantized.engine)
    config = mapping.global_qconfig
    if any(exceptions.values()):
        mapping = QConfigMapping()
    for name, wanted in exceptions.items():
        mapping.set_module_name(name, config if wanted else None)
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
    if not any("quantized" in type(m).__module__ for m in converted.modules()):
        raise BuildError("static_int8 found no layer that it can quantise in this model")
    return converted


@contextlib.contextmanager
def slow_attention() -> Iterator[None]:
    """Keep transformer layers off the fused path, which reads weights as plain tensors."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=before)
