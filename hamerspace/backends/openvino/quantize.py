"""Compress an OpenVINO model with NNCF, which here neither prints nor reports usage."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from openvino import opset13

from hamerspace.backends.base import BuildJob
from hamerspace.recipe import Scalar
from hamerspace.tasks.model import Arrays
from hamerspace.tasks.quiet_nncf import quiet_nncf


def compress(model: Any, job: BuildJob, float_layers: Sequence[str]) -> Any:
    """Lower the precision of an ``openvino.Model``.

    Args:
        model: The f32 model.
        job: Says how; each batch of its calibration data counts as one sample.
        float_layers: Names of layers to leave as they are.
    """
    chosen, calibration = job.parameters, job.calibration or ()
    if chosen["quantization"] == "none":
        return model
    if chosen["quantization"] == "int8":
        return quantize_int8(model, chosen, calibration, float_layers)
    with quiet_nncf() as nncf:
        ignored = _ignored(nncf, float_layers)
        if chosen["quantization"] == "weights_int8":
            int8 = nncf.CompressWeightsMode.INT8_ASYM
            return nncf.compress_weights(model, mode=int8, ignored_scope=ignored)
        # Embeddings and the last layer stay at 8 bits, and so does a layer whose channels no power
        # of two between 32 and the group's size divides.
        fallback = nncf.AdvancedCompressionParameters(
            group_size_fallback_mode=nncf.GroupSizeFallbackMode.ADJUST
        )
        looking: dict[str, Any] = {}
        if (method := str(chosen["int4_method"])) != "plain":
            data = _dataset(nncf, calibration)
            looking = {"dataset": data, "subset_size": len(calibration), method: True}
        return nncf.compress_weights(
            _with_transposed_weights(model),
            mode=nncf.CompressWeightsMode.INT4_ASYM,
            group_size=int(chosen["group_size"]),
            ignored_scope=ignored,
            advanced_parameters=fallback,
            **looking,
        )


def quantize_int8(
    model: Any,
    chosen: Mapping[str, Scalar],
    calibration: Sequence[Arrays],
    float_layers: Sequence[str] = (),
    *,
    for_ranking: bool = False,
) -> Any:
    """Quantise weights and activations of an ``openvino.Model`` after training.

    NNCF is told only what differs from its own defaults, so that these are what they are.

    Args:
        model: The f32 model.
        chosen: The parameters of the build.
        calibration: Batches of named inputs.
        float_layers: Names of layers to leave as they are.
        for_ranking: Leave all floating-point values as they are beneath FakeQuantize operators:
            no correction of biases, no folding of weights.
    """
    with quiet_nncf() as nncf:
        told: dict[str, Any] = {}
        advanced: dict[str, Any] = {}
        if chosen["smooth_quant"]:
            told["model_type"] = nncf.ModelType.TRANSFORMER
        if chosen["smooth_quant"] or chosen["preset"] != "performance":
            told["preset"] = nncf.QuantizationPreset(chosen["preset"])
        if chosen["bias_correction"] == "accurate":
            told["fast_bias_correction"] = False
        if float_layers:
            told["ignored_scope"] = _ignored(nncf, float_layers)
        if for_ranking or chosen["bias_correction"] == "none":
            advanced["disable_bias_correction"] = True
        if for_ranking:
            advanced["backend_params"] = {"compress_weights": False}
        if advanced:
            told["advanced_parameters"] = nncf.AdvancedQuantizationParameters(**advanced)
        return nncf.quantize(model, _dataset(nncf, calibration), **told)


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
