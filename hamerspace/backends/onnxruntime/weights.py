"""Weights in 8 or 4 bits by blocks, activations in floating point between the layers."""

import contextlib
import logging
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto
from onnxruntime.quantization.onnx_model import ONNXModel

from hamerspace.backends.base import BuildJob
from hamerspace.backends.onnxruntime.graph import normalize, weight_counts
from hamerspace.backends.onnxruntime.scheme import Scheme
from hamerspace.errors import NothingToLowerError
from hamerspace.tasks.conversions.onnx_file import save_onnx
from hamerspace.tasks.onnx_graph import fold_constants
from hamerspace.tasks.quiet import errors_only

# Activations become int8 within the kernel: with 8-bit weights the float kernel is three times
# slower. https://onnxruntime.ai/docs/genai/howto/build-model.html calls it the accuracy level.
_INT8_KERNEL = 4


class BlockWeights(Scheme):
    """MatMulNBits for linear layers and, with 4 bits, GatherBlockQuantized for embeddings.

    The model is taken as exported: the preparation of the other schemes would merge products and
    sums into Gemm nodes, which the quantiser does not look at.

    Raises:
        NothingToLowerError: No layer has a constant matrix.
    """

    def __init__(self, proto: Any, job: BuildJob) -> None:
        self._bits = 8 if job.parameters["quantization"] == "weights_int8" else 4
        # The quantiser refuses to look up 8-bit embeddings.
        self._op_types = ("MatMul", "Gather") if self._bits == 4 else ("MatMul",)
        if self._bits == 4 and not job.source.metadata.get("verbatim"):
            # Both copies of a matrix that is looked up and multiplied with become small.
            proto = fold_constants(proto, untie=True)
        super().__init__(proto, job)

    def _prepared(self, proto: Any, workdir: Path) -> Path:
        path, wrapped = workdir / "float.onnx", ONNXModel(proto)
        wrapped.replace_gemm_with_matmul()
        normalize(wrapped.model)
        self._layers = _matrices(wrapped.model.graph, self._op_types)
        if not self._layers:
            raise NothingToLowerError(
                "the model has no linear layer whose weights could be stored so"
            )
        save_onnx(wrapped.model, path)
        return path

    def layers(self) -> dict[str, int]:
        return self._layers

    def quantize(self, output: Path, float_layers: Collection[str]) -> None:
        proto = onnx.load(self.model)
        opsets = {entry.domain: entry.version for entry in proto.opset_import}
        with _quantizer_module() as module:
            quantizer = module.MatMulNBitsQuantizer(
                proto,
                bits=self._bits,
                block_size=int(self._chosen["block_size"]),
                is_symmetric=False,
                accuracy_level=_INT8_KERNEL,
                nodes_to_exclude=list(float_layers),
                op_types_to_quantize=self._op_types,
            )
            quantizer.process()
        # For embeddings it claims opset 21, which the other nodes were not converted to.
        for entry in quantizer.model.model.opset_import:
            entry.version = opsets.get(entry.domain, entry.version)
        save_onnx(quantizer.model.model, output)

    def quantize_only(self, output: Path, layers: Collection[str]) -> None:
        self.quantize(output, self._layers.keys() - set(layers))


def _matrices(graph: Any, op_types: tuple[str, ...]) -> dict[str, int]:
    """Weights of the nodes that the quantiser takes: those with a float matrix of their own."""
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16)
    matrices = {t.name for t in graph.initializer if len(t.dims) == 2 and t.data_type in floats}
    position = {"MatMul": 1, "Gather": 0}
    taken = {
        node.name
        for node in graph.node
        if node.op_type in op_types and node.input[position[node.op_type]] in matrices
    }
    counts = weight_counts(graph, op_types)
    return {name: count for name, count in counts.items() if name in taken}


@contextlib.contextmanager
def _quantizer_module() -> Iterator[Any]:
    """Yield the quantiser's module without the log that its import sets up for the program."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    from onnxruntime.quantization import matmul_nbits_quantizer

    root.handlers[:] = handlers
    root.setLevel(level)
    # Blocks of zeros are divided by a scale of zero before they are set right.
    with errors_only(matmul_nbits_quantizer.logger.name), np.errstate(invalid="ignore"):
        yield matmul_nbits_quantizer
