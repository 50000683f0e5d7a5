"""Quantise TFLite models with AI Edge Quantizer, which here neither prints nor draws bars."""

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.tools import flatbuffer_utils
from ai_edge_quantizer import qtyping, quantizer
from ai_edge_quantizer import recipe as recipes
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from ai_edge_quantizer.utils import tfl_flatbuffer_utils

from hamerspace.backends.base import BuildJob
from hamerspace.tasks.model import Arrays
from hamerspace.tasks.tflite import weights_by_type, with_signature

_WEIGHTED_OPS = frozenset(
    {
        "BATCH_MATMUL",
        "CONV_2D",
        "CONV_2D_TRANSPOSE",
        "DEPTHWISE_CONV_2D",
        "EMBEDDING_LOOKUP",
        "FULLY_CONNECTED",
    }
)
_EVERYTHING = ".*"


@dataclass(frozen=True)
class Layer:
    """The operators that share one tensor of weights.

    Attributes:
        scopes: What the quantizer knows each operator by: the names of its outputs.
        weights: Number of weights.
    """

    scopes: tuple[str, ...]
    weights: int


class FloatModel:
    """A TFLite model in floating point, and what becomes of it, calibrated where that is needed.

    Args:
        job: Has the model, its calibration data, and says how layers are quantised.
    """

    def __init__(self, job: BuildJob) -> None:
        self._scheme = str(job.parameters["quantization"])
        self._min_weights = int(job.parameters.get("min_weights", 0))
        path, specs = job.source.file("model"), (job.source.inputs, job.source.outputs)
        parsed = flatbuffer_utils.read_model(str(path))
        if not parsed.signatureDefs:
            parsed = with_signature(parsed, *([spec.name for spec in side] for side in specs))
            self._content = bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))
        else:
            self._content = path.read_bytes()
        self._model = tfl_flatbuffer_utils.read_model(self._content)
        self._ranges: Any = None
        if self._scheme == "static_int8":
            self._ranges = self._calibrated(parsed, job.calibration or ())

    def layers(self) -> dict[str, Layer]:
        """What is quantised of its weights, by the name of the first operator's output."""
        found: dict[int, list[str]] = {}
        for graph in self._model.subgraphs:
            for operator in graph.operators:
                buffer = _weights_of(operator, graph, self._model)
                if buffer is not None:
                    scope = tfl_flatbuffer_utils.get_op_scope(operator, graph.tensors)
                    found.setdefault(buffer, []).append(scope)
        buffers = self._model.buffers
        layers = (Layer(tuple(found[key]), len(buffers[key].data) // 4) for key in found)
        return {
            layer.scopes[0].rstrip(";"): layer
            for layer in layers
            if layer.weights >= self._min_weights
        }

    def _calibrated(self, parsed: Any, calibration: Sequence[Arrays]) -> Any:
        """The range of each tensor, which static quantisation needs."""
        signature = parsed.signatureDefs[0]
        tensors = parsed.subgraphs[signature.subgraphIndex].tensors
        types = tfl_flatbuffer_utils.TENSOR_CODE_TO_TYPE
        dtypes = {
            entry.name.decode(): types[tensors[entry.tensorIndex].type].lower()
            for entry in signature.inputs
        }
        samples = [
            {name: np.asarray(batch[name], dtype) for name, dtype in dtypes.items()}
            for batch in calibration
        ]
        with _quiet():
            tool = quantizer.Quantizer(self._content, recipes.static_wi8_ai8())
            return tool.calibrate({signature.signatureKey.decode(): samples}, num_threads=1)

    def quantize(self, kept: Sequence[Layer] = (), only: Layer | None = None) -> bytes:
        """The content of the quantised file.

        Inputs and outputs keep their dtypes.

        Args:
            kept: Layers that stay in floating point.
            only: The one layer to quantise; default: all.
        """
        chosen = _RECIPES[self._scheme]
        config = {**chosen["op_config"], "min_weight_elements": self._min_weights}
        scopes = [_EVERYTHING] if only is None else [_pattern(scope) for scope in only.scopes]
        recipe = [{**chosen, "op_config": config, "regex": scope} for scope in scopes]
        untouched = [(_EVERYTHING, "INPUT"), (_EVERYTHING, "OUTPUT")]
        scopes = [scope for layer in kept for scope in layer.scopes]
        if self._scheme == "static_int8":
            scopes += self._after_outputs()
        untouched += [(_pattern(scope), "*") for scope in scopes]
        recipe += [
            {"regex": regex, "operation": operation, "algorithm_key": AlgorithmName.NO_QUANTIZE}
            for regex, operation in untouched
        ]
        with _quiet():
            tool = quantizer.Quantizer(self._content, recipe)
            result = tool.quantize(
                self._ranges, enable_progress_bar=False, enable_progress_report=False
            )
        assert result.quantized_model is not None
        return self._with_own_signature(result.quantized_model)

    def _with_own_signature(self, content: Any) -> bytes:
        """The content with a signature that names the outputs of the graph.

        The quantizer leaves an output's name with the integer tensor where it has put a
        dequantisation behind it for the sake of another operator.
        """
        model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
        signature, before = model.signatureDefs[0], self._model.signatureDefs[0]
        graph = model.subgraphs[signature.subgraphIndex]
        positions = list(self._model.subgraphs[before.subgraphIndex].outputs)
        indices = {
            entry.name: int(graph.outputs[positions.index(entry.tensorIndex)])
            for entry in before.outputs
        }
        if all(entry.tensorIndex == indices[entry.name] for entry in signature.outputs):
            return bytes(content)
        for entry in signature.outputs:
            entry.tensorIndex = indices[entry.name]
        return bytes(flatbuffer_utils.convert_object_to_bytearray(model))

    def _after_outputs(self) -> list[str]:
        """Operators that take an output of the model.

        Where outputs stay in floating point, the quantizer hands such an operator the float
        tensor and nevertheless makes it an integer one, which then reads nonsense.
        """
        scopes = []
        for graph in self._model.subgraphs:
            outputs = {int(index) for index in graph.outputs}
            scopes += [
                tfl_flatbuffer_utils.get_op_scope(operator, graph.tensors)
                for operator in graph.operators
                if outputs.intersection(int(index) for index in operator.inputs)
            ]
        return scopes


def weights_of(path: Path) -> dict[str, int]:
    """Number of weights of a file by type."""
    return weights_by_type(flatbuffer_utils.read_model(str(path)))


_HALF = {"num_bits": 16, "dtype": "FLOAT", "symmetric": True, "granularity": "TENSORWISE"}
_RECIPES: Mapping[str, dict[str, Any]] = {
    "dynamic_int8": recipes.dynamic_wi8_afp32()[0],
    "dynamic_int4": recipes.dynamic_wi4_afp32()[0],
    "static_int8": recipes.static_wi8_ai8()[0],
    "weights_int8": recipes.weight_only_wi8_afp32()[0],
    "fp16": {
        "regex": _EVERYTHING,
        "operation": "*",
        "algorithm_key": AlgorithmName.FLOAT_CASTING,
        "op_config": {
            "weight_tensor_config": _HALF,
            "compute_precision": "FLOAT",
            "explicit_dequantize": True,
        },
    },
}


def _weights_of(operator: Any, graph: Any, model: Any) -> int | None:
    """The buffer of the float weights of an operator that the quantizer takes; else ``None``."""
    code = model.operatorCodes[operator.opcodeIndex].builtinCode
    name = tfl_flatbuffer_utils.TFL_OP_CODE_TO_NAME.get(code)
    if name is None or name.value not in _WEIGHTED_OPS:
        return None
    for index in operator.inputs:
        tensor = graph.tensors[index]
        data = model.buffers[tensor.buffer].data if index != -1 else None
        matrix = tensor.shape is not None and len(tensor.shape) > 1
        if data is not None and matrix and tensor.type == qtyping.TensorType.FLOAT32:
            return int(tensor.buffer)
    return None


def _pattern(scope: str) -> str:
    return f"^{re.escape(scope)}$"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    swallowed = io.StringIO()
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            contextlib.redirect_stdout(swallowed),
            contextlib.redirect_stderr(swallowed),
        ):
            yield
    finally:
        logging.disable(level)
