"""Put NNCF's fake quantisers into a module."""

import contextlib
import copy
import inspect
import logging
from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from hamerspace.compress._rows import TrainingRows
from hamerspace.compress._structure import attention_layers
from hamerspace.errors import BuildError
from hamerspace.tasks.channels import differing_channel
from hamerspace.tasks.quiet_nncf import quiet_nncf
from hamerspace.tasks.torch_module import NamedModule

logger = logging.getLogger(__name__)

_CALIBRATION_ROWS = 300
_FUSION_TOLERANCE = 1e-3


def fake_quantize(module: NamedModule, rows: TrainingRows, seed: int) -> NamedModule:
    """A copy of ``module`` that rounds weights and activations to int8, with trainable scales.

    Batch normalisation is folded into the layers before it where the module can be traced, as
    runtimes cannot fold it once these layers are quantised.

    Args:
        module: Loaded for inference.
        rows: The train split; some of it calibrates the first scales.
        seed: Chooses these rows.

    Raises:
        BuildError: NNCF cannot quantise the module, or finds nothing to quantise.
    """
    batches = -(-_CALIBRATION_ROWS // rows.batch_size)
    order = np.random.default_rng(seed)
    calibration = [rows.inputs(indices) for indices in islice(rows.permuted(order), batches)]
    module.widen()
    folded = _with_named_inputs(module, _folded(module.inner, module, calibration[0]))
    with torch.enable_grad():
        attends = bool(attention_layers(module.inner, module(*calibration[0])))
    with quiet_nncf() as nncf:
        smoothing = nncf.AdvancedSmoothQuantParameters(convolution=-1, matmul=-1)
        try:
            quantized: NamedModule = nncf.quantize(
                folded,
                nncf.Dataset(calibration),
                subset_size=len(calibration),
                model_type=nncf.ModelType.TRANSFORMER if attends else None,
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    smooth_quant_alphas=smoothing
                ),
            )
        except Exception as error:  # NNCF raises anything
            raise BuildError(f"NNCF cannot quantise this module: {error!r}") from error
    if not any("Quantizer" in type(child).__name__ for child in quantized.modules()):
        raise BuildError("NNCF finds nothing to quantise in this module")
    return quantized


def _folded(inner: nn.Module, module: NamedModule, inputs: tuple[Tensor, ...]) -> nn.Module:
    """``inner`` with batch normalisation folded away; a plain copy where that fails."""
    plain = copy.deepcopy(inner)
    try:
        folded = fuse(inner)
        trial = _with_named_inputs(module, folded)
        with torch.inference_mode():
            wanted, found = module(*inputs), trial(*inputs)
    except Exception as error:  # noqa: BLE001 - tracing runs the user's code with proxies
        logger.info("batch normalisation stays: %r", error)
        return plain
    same = all(
        torch.allclose(a, b, rtol=_FUSION_TOLERANCE, atol=_FUSION_TOLERANCE * float(a.abs().max()))
        and not differing_channel(a.cpu().numpy(), b.cpu().numpy(), _FUSION_TOLERANCE)
        for a, b in zip(wanted, found, strict=True)
        if a.is_floating_point()
    )
    return folded if same else plain


def _with_named_inputs(module: NamedModule, inner: nn.Module) -> NamedModule:
    """Like ``module`` around ``inner``, its inputs arguments of their own.

    NNCF quantises inputs by the names in the signature, and ``*inputs`` has none.
    """

    class FixedInputs(NamedModule):
        def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
            return super().forward(*inputs)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    names = ("self", *(f"input_{index}" for index in range(len(module.inputs))))
    signature = inspect.Signature([inspect.Parameter(name, kind) for name in names])
    FixedInputs.forward.__signature__ = signature  # type: ignore[attr-defined]
    return FixedInputs(inner, module.inputs, module.outputs, module.keywords)


@contextlib.contextmanager
def portable_kernels() -> Iterator[None]:
    """Have NNCF compute fake quantisation with torch's own operators, uncompiled.

    It would build a C++ extension otherwise, which takes half a minute, needs a compiler and
    rounds differently where there is one; or have torch.compile do much the same. Without them a
    training step of a small CNN takes 1.4 times as long.
    """
    from nncf.torch.quantization import extensions
    from nncf.torch.quantization.reference import ReferenceQuantizedFunctions

    extensions.QuantizedFunctionsCPU._loaded_namespace = ReferenceQuantizedFunctions  # noqa: SLF001 - there is no option
    with torch.compiler.set_stance("force_eager"):
        yield
