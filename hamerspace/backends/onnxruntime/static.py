"""Static int8: weights and activations, with ranges from calibration data."""

import copy
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx
from onnxruntime import quantization
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from hamerspace.backends.base import BuildJob
from hamerspace.backends.onnxruntime.graph import opset, raise_opset, weight_counts
from hamerspace.backends.onnxruntime.scheme import TYPES, Scheme
from hamerspace.tasks.conversions.onnx_file import save_onnx
from hamerspace.tasks.model import Arrays

# DequantizeLinear takes an axis, hence per-channel scales, from this opset on:
# https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html
PER_CHANNEL_OPSET = 13

_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
# In transformers more is lost in sums, normalisations and embeddings than in products.
_OTHERS = (
    "Add",
    "AveragePool",
    "Gather",
    "GlobalAveragePool",
    "InstanceNormalization",
    "LayerNormalization",
    "LeakyRelu",
    "Mul",
    "Sigmoid",
    "Softmax",
)
_LAYERS = (*_PRODUCTS, *_OTHERS)


class StaticInt8(Scheme):
    """A QDQ model: activations with MinMax ranges, int8 weights.

    Raises:
        BuildError: The model's opset is too old and cannot be raised, or ONNX Runtime cannot read
            it.
    """

    def __init__(self, proto: Any, job: BuildJob) -> None:
        self._per_channel = bool(job.parameters["per_channel"])
        if self._per_channel:
            proto = raise_opset(proto, PER_CHANNEL_OPSET, "static int8 with a scale per channel")
        super().__init__(proto, job)
        self._options: dict[str, bool] = {}
        self._calibration = job.calibration or ()
        self._activations = TYPES[str(self._chosen["activation_type"])]
        self.metadata = {"per_channel": self._per_channel, "opset": opset(proto)}

    def layers(self) -> dict[str, int]:
        graph = self._proto.graph
        counts = weight_counts(graph, _LAYERS)
        # Others look up shapes.
        lookups = {node.name for node in graph.node if node.op_type == "Gather"}
        return {name: n for name, n in counts.items() if n or name not in lookups}

    def _run(self, output: Path, float_layers: Collection[str]) -> None:
        try:
            super()._run(output, float_layers)
        except Exception as error:
            if isinstance(error, ValueError):
                # ONNX Runtime widens weight scales that make a bias overflow, and raises over
                # normalisations whose weights have a scale per channel.
                remedy = "QDQDisableWeightAdjustForInt32Bias"
            elif "NOT_IMPLEMENTED" in str(error):
                # The standard's operators of an opset newer than ONNX Runtime's kernels.
                remedy = "UseQDQContribOps"
            else:
                raise
            if remedy in self._options:
                raise
            self._options[remedy] = True
            self._run(output, float_layers)

    def quantize(self, output: Path, float_layers: Collection[str]) -> None:
        quantization.quantize_static(
            self.model,
            output,
            _Reader(self._calibration),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=self._per_channel,
            activation_type=self._activations,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(float_layers) or None,
            calibrate_method=CalibrationMethod.MinMax,
            use_external_data_format=self._large,
            extra_options=self._options or None,
        )

    def calibrate(self) -> None:
        _ = self._ranges

    def quantize_only(self, output: Path, layers: Collection[str]) -> None:
        quantizer = QDQQuantizer(
            copy.deepcopy(self._proto),
            per_channel=self._per_channel,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=self._activations,
            tensors_range=self._ranges,
            nodes_to_quantize=list(layers),
            nodes_to_exclude=[],
            op_types_to_quantize=list(_LAYERS),
            # It raises over normalisations whose weights have a scale per channel.
            extra_options={"QDQDisableWeightAdjustForInt32Bias": True, **self._options},
        )
        quantizer.quantize_model()
        save_onnx(quantizer.model.model, output)

    @cached_property
    def _proto(self) -> Any:
        return onnx.load(self.model)

    @cached_property
    def _ranges(self) -> Any:
        """Ranges of the layers' activations: calibrated once for all layers of a ranking."""
        calibrator = create_calibrator(
            self.model,
            list(_LAYERS),
            augmented_model_path=str(self.model.with_name("augmented.onnx")),
            use_external_data_format=self._large,
        )
        calibrator.collect_data(_Reader(self._calibration))
        return calibrator.compute_data()


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, calibration: Sequence[Arrays]) -> None:
        self._batches: Iterator[Arrays] = iter(calibration)

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else dict(batch)
