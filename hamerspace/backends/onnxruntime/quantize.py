"""Write a quantised or half-precision model from an fp32 one.

The quantisers leave files of their own beside their input and in the current directory: every
path here lies in the build's working folder.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hamerspace.backends.onnxruntime.files import INLINE_LIMIT_BYTES, load_model, save_model
from hamerspace.errors import BuildError
from hamerspace.tasks.model import Arrays

# DequantizeLinear takes an axis, hence per-channel scales, from this opset on:
# https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html
PER_CHANNEL_OPSET = 13

# Weights that multiply or are looked up. Integer convolutions with dynamic scales run several
# times slower than float ones on CPUs. ONNX Runtime has no dynamic int8 kernel for GRU.
LINEAR_OP_TYPES = ("MatMul", "Gemm", "Attention", "LSTM", "Gather", "EmbedLayerNormalization")


def quantize_static(
    model: Path, output: Path, calibration: Sequence[Arrays], workdir: Path
) -> dict[str, Any]:
    """Write a QDQ model: uint8 activations with MinMax ranges, int8 weights per channel.

    Returns:
        ``{"per_channel": bool, "opset": int}``: below opset 13, where the model cannot be
        converted up, weights get one scale per tensor.

    Raises:
        BuildError: ONNX Runtime cannot calibrate or quantise the model.
    """
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    proto = load_model(model)
    proto = raise_opset(proto, PER_CHANNEL_OPSET) or proto
    per_channel = opset(proto) >= PER_CHANNEL_OPSET
    large = proto.ByteSize() >= INLINE_LIMIT_BYTES
    prepared = _pre_process(proto, workdir)
    quantize_static(
        prepared,
        output,
        _reader(calibration),
        quant_format=QuantFormat.QDQ,
        per_channel=per_channel,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        use_external_data_format=large,
    )
    return {"per_channel": per_channel, "opset": opset(proto)}


def quantize_dynamic(
    model: Path, output: Path, op_types: str, weight_type: str, workdir: Path
) -> None:
    """Write a model with int8 weights whose activations are quantised at run time.

    Args:
        model: The fp32 model.
        output: Where to write.
        op_types: ``all`` or ``linear``.
        weight_type: ``qint8`` or ``quint8``.
        workdir: For temporary files.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    proto = load_model(model)
    large = proto.ByteSize() >= INLINE_LIMIT_BYTES
    quantize_dynamic(
        _pre_process(proto, workdir),
        output,
        op_types_to_quantize=list(LINEAR_OP_TYPES) if op_types == "linear" else None,
        weight_type=QuantType.QInt8 if weight_type == "qint8" else QuantType.QUInt8,
        use_external_data_format=large,
    )


def convert_fp16(model: Path, output: Path) -> None:
    """Write a model that stores and computes float16 and keeps the types of its interface."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    save_model(convert_float_to_float16(load_model(model), keep_io_types=True), output)


def opset(proto: Any) -> int:
    """Version of the default operator set that a model imports."""
    versions = [entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")]
    return max(versions, default=1)


def raise_opset(proto: Any, minimum: int) -> Any | None:
    """Return ``proto``, converted where its opset is below ``minimum``; ``None`` if that fails."""
    if opset(proto) >= minimum:
        return proto
    from onnx import checker, version_converter

    try:
        converted = version_converter.convert_version(proto, minimum)
        checker.check_model(converted)
    except Exception:  # noqa: BLE001 - the converter raises whatever its C++ core raises
        return None
    return converted


def _pre_process(proto: Any, workdir: Path) -> Path:
    """Fold constants, fuse batch norms and infer shapes, as both quantisers want it."""
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    large = proto.ByteSize() >= INLINE_LIMIT_BYTES
    raw, prepared = workdir / "raw.onnx", workdir / "prepared.onnx"
    save_model(proto, raw)
    try:
        quant_pre_process(
            str(raw),
            str(prepared),
            # The symbolic pass is for shapes of contrib operators and needs sympy; whether sympy
            # is there must not change what is built, so it stays out.
            skip_symbolic_shape=True,
            save_as_external_data=large,
        )
    except Exception as error:
        raise BuildError(f"ONNX Runtime cannot prepare the model for int8: {error}") from error
    onnx.checker.check_model(str(prepared))
    return prepared


def _reader(calibration: Sequence[Arrays]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches: Iterator[Arrays] = iter(calibration)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._batches, None)
            return None if batch is None else dict(batch)

    return Reader()
