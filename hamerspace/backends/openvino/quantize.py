"""Compress an OpenVINO model with NNCF, which here neither prints nor reports usage."""

import contextlib
import io
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from hamerspace.tasks.model import Arrays

# NNCF's own default: https://arxiv.org/abs/2211.10438 calls it the migration strength.
_SMOOTH_QUANT_ALPHA = 0.95


def quantize_int8(
    model: Any, calibration: Sequence[Arrays], preset: str, *, smooth_quant: bool
) -> Any:
    """Quantise weights and activations of an ``openvino.Model`` after training.

    Args:
        model: The f32 model.
        calibration: Batches of named inputs; each counts as one sample.
        preset: ``mixed`` or ``performance``.
        smooth_quant: Whether the model is a transformer with SmoothQuant.
    """
    with quiet_nncf() as nncf:
        alpha = _SMOOTH_QUANT_ALPHA if smooth_quant else -1
        smoothing = nncf.AdvancedSmoothQuantParameters(convolution=-1, matmul=alpha)
        return nncf.quantize(
            model,
            nncf.Dataset([dict(batch) for batch in calibration]),
            preset=nncf.QuantizationPreset(preset),
            subset_size=len(calibration),
            model_type=nncf.ModelType.TRANSFORMER if smooth_quant else None,
            advanced_parameters=nncf.AdvancedQuantizationParameters(smooth_quant_alphas=smoothing),
        )


def compress_weights(model: Any, bits: int, group_size: int = -1) -> Any:
    """Store the weights of an ``openvino.Model`` in 8 or 4 bits, asymmetric.

    With 4 bits, embeddings and the last layer stay at 8, and so does a layer whose channels no
    power of two between 32 and ``group_size`` divides.

    Args:
        model: The f32 model.
        bits: 8 (one scale a channel) or 4.
        group_size: Weights that share a scale with 4 bits; -1 is a whole channel.
    """
    with quiet_nncf() as nncf:
        if bits == 8:
            return nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM)
        fallback = nncf.AdvancedCompressionParameters(
            group_size_fallback_mode=nncf.GroupSizeFallbackMode.ADJUST
        )
        return nncf.compress_weights(
            model,
            mode=nncf.CompressWeightsMode.INT4_ASYM,
            group_size=group_size,
            advanced_parameters=fallback,
        )


@contextlib.contextmanager
def quiet_nncf() -> Iterator[ModuleType]:
    """Yield NNCF with its log at errors only and its progress bars swallowed."""
    nncf = _import_nncf()
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield nncf
    finally:
        logger.setLevel(level)


def _import_nncf() -> ModuleType:
    """Import NNCF with its telemetry off: it reports usage over the network unless told not to.

    NNCF reads the variable once, while it is imported; afterwards the environment is as before.
    """
    if "nncf" not in sys.modules:
        before = os.environ.get("NNCF_CI")
        os.environ["NNCF_CI"] = "1"
        try:
            import nncf
        finally:
            if before is None:
                del os.environ["NNCF_CI"]
            else:
                os.environ["NNCF_CI"] = before
    import nncf

    module: ModuleType = nncf
    return module
