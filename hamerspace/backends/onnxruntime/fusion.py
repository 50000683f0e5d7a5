"""Fuse the parts of transformers that loading alone does not."""

from collections import Counter
from typing import Any

from hamerspace.errors import BuildError
from hamerspace.tasks.quiet import errors_only


def fuse_transformer(proto: Any) -> Any:
    """Return the model with attention, embeddings, GELU and normalisation as single operators.

    Raises:
        BuildError: The graph has none of the patterns.
    """
    from onnxruntime.transformers import optimizer

    before = _contrib(proto)
    # The fusions are the same for every producer; another name than this one is warned about.
    proto.producer_name = "pytorch"
    try:
        with errors_only("onnxruntime.transformers"):
            fused = optimizer.optimize_by_fusion(proto, "bert").model
    except Exception as error:
        raise BuildError(f"ONNX Runtime cannot fuse the transformer: {error}") from error
    if not _contrib(fused) - before:
        raise BuildError(
            "transformer fusion finds none of its patterns in this model; choose fusion none"
        )
    return fused


def _contrib(proto: Any) -> Counter[str]:
    return Counter(n.op_type for n in proto.graph.node if n.domain == "com.microsoft")
