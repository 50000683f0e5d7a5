"""Compress an OpenVINO model with NNCF, which here neither prints nor reports usage."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from hamerspace.tasks.model import Arrays
from hamerspace.tasks.quiet_nncf import quiet_nncf


def quantize_int8(
    model: Any,
    calibration: Sequence[Arrays],
    preset: str,
    *,
    smooth_quant: bool = False,
    bias_correction: str = "fast",
    float_layers: Sequence[str] = (),
    for_ranking: bool = False,
) -> Any:
    """Quantise weights and activations of an ``openvino.Model`` after training.

    NNCF is told only what differs from its own defaults, so that these are what they are.

    Args:
        model: The f32 model.
        calibration: Batches of named inputs; each counts as one sample.
        preset: ``mixed`` or ``performance``.
        smooth_quant: Whether the model is a transformer with SmoothQuant.
        bias_correction: ``fast``, ``accurate`` or ``none``.
        float_layers: Names of layers to leave as they are.
        for_ranking: Leave all floating-point values as they are beneath FakeQuantize operators:
            no correction of biases, no folding of weights.
    """
    with quiet_nncf() as nncf:
        told: dict[str, Any] = {}
        advanced: dict[str, Any] = {}
        if smooth_quant:
            told["model_type"] = nncf.ModelType.TRANSFORMER
        if smooth_quant or preset != "performance":
            told["preset"] = nncf.QuantizationPreset(preset)
        if bias_correction == "accurate":
            told["fast_bias_correction"] = False
        if float_layers:
            told["ignored_scope"] = _ignored(nncf, float_layers)
        if for_ranking or bias_correction == "none":
            advanced["disable_bias_correction"] = True
        if for_ranking:
            advanced["backend_params"] = {"compress_weights": False}
        if advanced:
            told["advanced_parameters"] = nncf.AdvancedQuantizationParameters(**advanced)
        return nncf.quantize(model, _dataset(nncf, calibration), **told)


def compress_to_int8(model: Any, float_layers: Sequence[str] = ()) -> Any:
    """Store the weights of an ``openvino.Model`` in 8 bits, asymmetric, one scale a channel.

    Args:
        model: The f32 model.
        float_layers: Names of layers to leave as they are.
    """
    with quiet_nncf() as nncf:
        return nncf.compress_weights(
            model,
            mode=nncf.CompressWeightsMode.INT8_ASYM,
            ignored_scope=_ignored(nncf, float_layers),
        )


def compress_to_int4(
    model: Any,
    group_size: int,
    calibration: Sequence[Arrays] | None = None,
    method: str = "plain",
    float_layers: Sequence[str] = (),
) -> Any:
    """Store the weights of an ``openvino.Model`` in 4 bits, asymmetric.

    Embeddings and the last layer stay at 8 bits, and so does a layer whose channels no power of
    two between 32 and ``group_size`` divides.

    Args:
        model: The f32 model.
        group_size: Weights that share a scale; -1 is a whole channel.
        calibration: Batches of named inputs, for the methods that look at activations.
        method: ``plain`` rounding; ``scale_estimation``; or ``gptq``
            (<https://arxiv.org/abs/2210.17323>).
        float_layers: Names of layers to leave as they are.
    """
    with quiet_nncf() as nncf:
        fallback = nncf.AdvancedCompressionParameters(
            group_size_fallback_mode=nncf.GroupSizeFallbackMode.ADJUST
        )
        looking = {}
        if method != "plain":
            assert calibration is not None
            looking = {
                "dataset": _dataset(nncf, calibration),
                "subset_size": len(calibration),
                method: True,
            }
        return nncf.compress_weights(
            _with_transposed_weights(model),
            mode=nncf.CompressWeightsMode.INT4_ASYM,
            group_size=group_size,
            ignored_scope=_ignored(nncf, float_layers),
            advanced_parameters=fallback,
            **looking,
        )


def _dataset(nncf: ModuleType, calibration: Sequence[Arrays]) -> Any:
    return nncf.Dataset([dict(batch) for batch in calibration])


def _ignored(nncf: ModuleType, names: Sequence[str]) -> Any:
    # A layer that is ignored need not be one that would have been quantised.
    return nncf.IgnoredScope(names=list(names), validate=False) if names else None


def _with_transposed_weights(model: Any) -> Any:
    """Turn the weights of matrix products so that each row makes one output, in place.

    GPTQ refuses others, and scale estimation returns garbage for them. ONNX has them the other
    way round.
    """
    import numpy as np
    from openvino import opset13

    for op in model.get_ordered_ops():
        if op.get_type_name() != "MatMul" or op.get_attributes()["transpose_b"]:
            continue
        weights = op.input_value(1).get_node()
        if weights.get_type_name() != "Constant" or len(weights.get_output_shape(0)) != 2:
            continue
        turned = opset13.constant(np.ascontiguousarray(weights.data.T))
        turned.set_friendly_name(weights.get_friendly_name())
        transpose_a = op.get_attributes()["transpose_a"]
        product = opset13.matmul(op.input_value(0), turned, transpose_a, True)
        product.set_friendly_name(op.get_friendly_name())
        names = op.output(0).get_names()
        op.output(0).replace(product.output(0))
        product.output(0).get_tensor().set_names(names)
    model.validate_nodes_and_infer_types()
    return model
