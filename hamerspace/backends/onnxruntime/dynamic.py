"""Dynamic int8: weights beforehand, activations while the model runs."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import onnx
from onnxruntime import quantization
from onnxruntime.quantization.onnx_model import ONNXModel

from hamerspace.backends.base import BuildJob
from hamerspace.backends.onnxruntime.graph import name_nodes, weight_counts
from hamerspace.backends.onnxruntime.scheme import TYPES, Scheme
from hamerspace.tasks.conversions.onnx_file import save_onnx

# Weights that multiply or are looked up. Integer convolutions with dynamic scales run several
# times slower than float ones on CPUs. ONNX Runtime has no dynamic int8 kernel for GRU.
LINEAR_OP_TYPES = ("MatMul", "Gemm", "Attention", "LSTM", "Gather", "EmbedLayerNormalization")


class DynamicInt8(Scheme):
    """Int8 weights, and activations that are quantised at run time."""

    def __init__(self, proto: Any, job: BuildJob) -> None:
        # Behind a fused operator no type is inferred.
        fused = any(node.domain == "com.microsoft" for node in proto.graph.node)
        self._options = {"DefaultTensorType": onnx.TensorProto.FLOAT} if fused else None
        super().__init__(proto, job)
        self._linear = self._chosen["dynamic_op_types"] == "linear"
        graph = _split_products(self.model)
        # The quantiser takes those of the standard for ones of com.microsoft, which do more.
        self._others = [
            node.name for node in graph.node if node.op_type == "Attention" and not node.domain
        ]
        types = LINEAR_OP_TYPES if self._linear else ("Conv", *LINEAR_OP_TYPES)
        self._layers = {name: n for name, n in weight_counts(graph, types).items() if n}

    def layers(self) -> dict[str, int]:
        return self._layers

    def quantize(self, output: Path, float_layers: Collection[str]) -> None:
        self._quantize(output, nodes_to_exclude=[*float_layers, *self._others] or None)

    def quantize_only(self, output: Path, layers: Collection[str]) -> None:
        self._quantize(output, nodes_to_quantize=list(layers))

    def _quantize(self, output: Path, **nodes: list[str] | None) -> None:
        quantization.quantize_dynamic(
            self.model,
            output,
            op_types_to_quantize=list(LINEAR_OP_TYPES) if self._linear else None,
            weight_type=TYPES[str(self._chosen["weight_type"])],
            use_external_data_format=self._large,
            extra_options=self._options,
            **nodes,
        )


def _split_products(path: Path) -> Any:
    """Turn Gemm nodes into MatMul and Add, as the quantiser would, but under names that stay.

    Returns:
        The graph.
    """
    wrapped = ONNXModel(onnx.load(path))
    wrapped.replace_gemm_with_matmul()
    name_nodes(wrapped.model.graph)
    save_onnx(wrapped.model, path)
    return wrapped.model.graph
