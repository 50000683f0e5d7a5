"""Static int8: weights and activations, with ranges from calibration data."""

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from hamerspace.backends.onnxruntime.graph import opset, raise_opset, weight_counts
from hamerspace.backends.onnxruntime.scheme import Scheme, prepare
from hamerspace.tasks.conversions.onnx_file import is_large, save_onnx
from hamerspace.tasks.model import Arrays
from hamerspace.tasks.onnx_graph import weight_bytes

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

    Args:
        proto: The float model.
        calibration: Batches of inputs.
        activation_type: ``quint8`` or ``qint8``.
        per_channel: Whether weights have a scale per channel, or one for all.
        workdir: For temporary files.

    Raises:
        BuildError: The model's opset is too old and cannot be raised, or ONNX Runtime cannot read
            it.
    """

    def __init__(
        self,
        proto: Any,
        calibration: Sequence[Arrays],
        activation_type: str,
        workdir: Path,
        *,
        per_channel: bool = True,
    ) -> None:
        if per_channel:
            proto = raise_opset(proto, PER_CHANNEL_OPSET, "static int8 with a scale per channel")
        self._per_channel = per_channel
        self._options: dict[str, bool] = {}
        self._calibration = calibration
        self._activation_type = activation_type
        self._large = is_large(weight_bytes(proto))
        self.model = prepare(proto, workdir)
        self.metadata = {"per_channel": per_channel, "opset": opset(proto)}

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
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, quantize_static

        activations, weights = self._types
        quantize_static(
            self.model,
            output,
            _reader(self._calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=self._per_channel,
            activation_type=activations,
            weight_type=weights,
            nodes_to_exclude=list(float_layers) or None,
            calibrate_method=CalibrationMethod.MinMax,
            use_external_data_format=self._large,
            extra_options=self._options or None,
        )

    def calibrate(self) -> None:
        _ = self._ranges

    def quantize_only(self, output: Path, layers: Collection[str]) -> None:
        from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

        activations, weights = self._types
        quantizer = QDQQuantizer(
            _copy(self._proto),
            per_channel=self._per_channel,
            reduce_range=False,
            weight_qType=weights,
            activation_qType=activations,
            tensors_range=self._ranges,
            nodes_to_quantize=list(layers),
            nodes_to_exclude=[],
            op_types_to_quantize=list(_LAYERS),
            # It raises over normalisations whose weights have a scale per channel.
            extra_options={"QDQDisableWeightAdjustForInt32Bias": True, **self._options},
        )
        quantizer.quantize_model()
        save_onnx(quantizer.model.model, output)

    @property
    def _types(self) -> tuple[Any, Any]:
        from onnxruntime.quantization import QuantType

        unsigned = self._activation_type == "quint8"
        return QuantType.QUInt8 if unsigned else QuantType.QInt8, QuantType.QInt8

    @cached_property
    def _proto(self) -> Any:
        import onnx

        return onnx.load(self.model)

    @cached_property
    def _ranges(self) -> Any:
        """Ranges of the layers' activations: calibrated once for all layers of a ranking."""
        from onnxruntime.quantization.calibrate import create_calibrator

        calibrator = create_calibrator(
            self.model,
            list(_LAYERS),
            augmented_model_path=str(self.model.with_name("augmented.onnx")),
            use_external_data_format=self._large,
        )
        calibrator.collect_data(_reader(self._calibration))
        return calibrator.compute_data()


def _copy(proto: Any) -> Any:
    copy = type(proto)()
    copy.CopyFrom(proto)
    return copy


def _reader(calibration: Sequence[Arrays]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches: Iterator[Arrays] = iter(calibration)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._batches, None)
            return None if batch is None else dict(batch)

    return Reader()
