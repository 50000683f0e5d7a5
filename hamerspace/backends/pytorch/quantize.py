"""Lower the precision of a module, wholly or but for some layers."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hamerspace._text import first_line
from hamerspace.backends._sensitivity import check_known
from hamerspace.errors import BuildError, NothingToLowerError
from hamerspace.tasks.model import Arrays
from hamerspace.tasks.torch_module import NamedModule

# With linear layers, what torch.ao quantises dynamically when it is told nothing.
_RECURRENT = (nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell)
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
    only: str = "",
) -> NamedModule:
    """Return ``module`` in another precision; it may be changed in place.

    Args:
        module: Loaded for inference, on the device where it will run.
        kind: A name of :data:`~hamerspace.backends.pytorch.schemes.SCHEMES`.
        example: Inputs in call order.
        calibration: Batches for ``static_int8``, whose ranges it sees.
        keep: Layers that stay in floating point.
        only: The one layer to quantise; default: all.

    Raises:
        BuildError: The module cannot be traced symbolically.
        NothingToLowerError: Nothing in it was quantised.
    """
    if kind in ("none", "static_int8", "dynamic_int8"):
        # torch.ao quantises float32 only; what is not quantised is called fp32, so it is that.
        module.widen()
    if kind == "none":
        return module
    if kind in _HALF:
        module.narrow(_HALF[kind])
        return module
    layers = quantizable_layers(module, kind)
    check_known(keep, layers, kind)
    if kind == "static_int8":
        exceptions = {only: True} if only else dict.fromkeys(keep, False)
        return _static(module, example, calibration, exceptions)
    wanted = [only] if only else [name for name in layers if name not in keep]
    if not wanted:
        raise NothingToLowerError(f"{kind} found no layer that it can quantise in this model")
    if kind.startswith("torchao"):
        from hamerspace.backends.pytorch import torchao_layers

        inner = module.inner
        if any(tensor.is_cuda for tensor in example):
            inner = inner.to(torch.bfloat16)  # its kernels there want the rest in that
        return _around(module, torchao_layers.swap(inner, wanted, kind))
    if kind.startswith("bitsandbytes"):
        from hamerspace.backends.pytorch import bitsandbytes_layers

        return _around(module, bitsandbytes_layers.swap(module.inner, wanted, kind))
    from torch.ao.quantization import default_dynamic_qconfig, quantize_dynamic

    spec = dict.fromkeys(wanted, default_dynamic_qconfig)
    return _around(module, quantize_dynamic(module.inner, spec, dtype=torch.qint8))  # type: ignore[no-untyped-call]


def weights_by_type(module: nn.Module) -> dict[str, int]:
    """Number of weights of a module by type: tensors with two dimensions or more, each once."""
    counts: Counter[str] = Counter()
    seen: set[int] = set()
    for layer in module.modules():
        held = [*layer.parameters(recurse=False), *layer.buffers(recurse=False)]
        new = [tensor for tensor in held if id(tensor) not in seen]
        seen.update(map(id, new))
        nf4 = type(layer).__name__ == "Nf4Linear"
        for tensor in (*new, *_unpacked(layer)):
            # Tensors of torchao look like what they stand for.
            inner = getattr(tensor, "qdata", tensor)
            kind = str(inner.dtype).removeprefix("torch.").removeprefix("q")
            if inner.ndim < 2:
                continue
            if nf4 and kind == "uint8":
                counts["nf4"] += 2 * inner.numel()  # two in a byte
            elif inner.is_floating_point() or inner.is_quantized or kind in ("int8", "uint8"):
                counts[{"float": "float32"}.get(kind, kind)] += inner.numel()
    return dict(counts)


def _unpacked(layer: nn.Module) -> list[Any]:
    """Weights of a quantised layer, or of functions in a graph, which are made anew when asked for.

    Their identity tells nothing, as that of one that is gone may be the next one's.
    """
    if "quantized" in type(layer).__module__:
        get, weight = getattr(layer, "get_weight", None), getattr(layer, "weight", None)
        return list(get().values()) if callable(get) else [weight()] if callable(weight) else []
    return [packed.unpack()[0] for packed in vars(layer).values() if hasattr(packed, "unpack")]


def _around(module: NamedModule, inner: nn.Module) -> NamedModule:
    return NamedModule(inner, module.inputs, module.outputs, module.keywords)


def _static(
    module: NamedModule,
    example: tuple[Tensor, ...],
    calibration: Sequence[Arrays],
    exceptions: Mapping[str, bool],
) -> NamedModule:
    """Post-training static quantisation in FX graph mode, for the engine of this processor.

    Args:
        module: What to quantise.
        example: Inputs in call order.
        calibration: Batches whose ranges are taken.
        exceptions: Layers that alone are quantised (true), or alone are not (false).
    """
    from torch.ao.quantization.quantize_fx import convert_fx

    observed = _observed(module, example, exceptions)
    for batch in calibration:
        observed.run(batch)
    converted: Any = convert_fx(observed.inner)  # type: ignore[arg-type]
    if not any("quantized" in type(m).__module__ for m in converted.modules()):
        raise NothingToLowerError("static_int8 found no layer that it can quantise in this model")
    for node in converted.graph.nodes:
        # Quantised convolutions return channels last, which no view flattens.
        if node.op == "call_method" and node.target == "view" and not _casts(node):
            node.target = "reshape"
    converted.recompile()
    return _around(observed, converted)


def _observed(
    module: NamedModule, example: tuple[Tensor, ...], exceptions: Mapping[str, bool]
) -> NamedModule:
    """The module traced and with observers in it, which change none of its outputs.

    torch.fx takes every branch that no value decides, also one for an argument that is never given,
    and fails at others; then ``torch.export`` traces the branches of the example.

    Raises:
        BuildError: Neither can follow the module.
    """
    from torch.ao.quantization.quantize_fx import prepare_fx

    from hamerspace.backends.pytorch.tracing import PREFIX, layers_of

    def by_fx() -> NamedModule:
        return _around(module, prepare_fx(module.inner, _mapping(exceptions, ""), example))

    def by_export() -> NamedModule:
        traced = layers_of(module, example)
        prepared = prepare_fx(traced, _mapping(exceptions, PREFIX), example)
        return NamedModule(prepared, module.inputs, module.outputs)

    failures = []
    with slow_attention(), torch.no_grad():
        wanted = module(*example)
        for attempt in (by_fx, by_export):
            try:
                observed = attempt()
                same = all(_close(a, b) for a, b in zip(wanted, observed(*example), strict=True))
            except Exception as error:  # noqa: BLE001 - tracing runs the user's code with proxies
                text = f"{type(error).__name__}: {first_line(error)}"
                failures.append(f"{attempt.__name__.removeprefix('by_')}: {text}")
                continue
            if same:
                return observed
            failures.append(f"{attempt.__name__.removeprefix('by_')}: the outputs differ")
    raise BuildError(
        "static int8 needs a forward that torch.fx or torch.export can trace, without control "
        f"flow that depends on the data; {'; '.join(failures)}"
    )


def _close(wanted: Tensor, found: Tensor) -> bool:
    """Whether they differ by rounding, which grows with the largest number that is summed."""
    one, other = wanted.double(), found.double()
    finite = one[one.isfinite()]
    largest = float(finite.abs().max()) if finite.numel() else 0.0
    return torch.allclose(one, other, rtol=1e-4, atol=1e-5 * largest, equal_nan=True)


def _mapping(exceptions: Mapping[str, bool], prefix: str) -> Any:
    from torch.ao.quantization import QConfigMapping, get_default_qconfig_mapping

    mapping = get_default_qconfig_mapping(torch.backends.quantized.engine)
    config = mapping.global_qconfig
    if any(exceptions.values()):
        mapping = QConfigMapping()
    for name, wanted in exceptions.items():
        mapping.set_module_name(prefix + name, config if wanted else None)
    return mapping


def _casts(node: Any) -> bool:
    """Whether a view gives the same bits another type."""
    return any(isinstance(part, torch.dtype) for part in (*node.args, *node.kwargs.values()))


@contextlib.contextmanager
def slow_attention() -> Iterator[None]:
    """Keep transformer layers off the fused path, which reads weights as plain tensors."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=before)
