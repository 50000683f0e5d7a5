"""Read an ONNX file and build the PyTorch module that computes the same."""

from pathlib import Path
from typing import Any

import onnx
from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference
from torch import fx

from hamerspace.errors import BuildError
from hamerspace.tasks.onnx_module import (  # noqa: F401 - they register
    functions,
    layers,
    resize,
    sizes,
)
from hamerspace.tasks.onnx_module.translate import (
    HANDLERS,
    SIZE_HANDLERS,
    Translation,
    known_shapes,
)

_ALWAYS = {"Constant", "Shape", "Identity", "Dropout"}


def build_module(path: Path) -> fx.GraphModule:
    """The module of an ONNX file: layers as modules, everything else as functions.

    It takes the inputs by position and returns the output, or a tuple of the outputs. Batch
    normalisation uses its running statistics.

    Raises:
        BuildError: An operator, or the way it is used, is not known here; names them all.
    """
    model = _with_shapes(onnx.load(path))
    domains = {n.domain for n in model.graph.node} - {"", "ai.onnx"}
    if domains:
        raise BuildError(f"PyTorch has no counterpart of the operators of {min(domains)}")
    unknown = {n.op_type for n in model.graph.node}.difference(HANDLERS, SIZE_HANDLERS, _ALWAYS)
    if unknown:
        raise BuildError(
            "no translation to PyTorch is known for the ONNX operators "
            f"{', '.join(sorted(unknown))}"
        )
    return Translation(model).run()


def _with_shapes(model: Any) -> Any:
    """By ONNX's own inference, or by ONNX Runtime's where that leaves shapes out."""
    found = onnx.shape_inference.infer_shapes(model, data_prop=True)
    known = known_shapes(found.graph)
    if all(name in known for node in model.graph.node for name in node.output if name):
        return found
    try:
        return SymbolicShapeInference.infer_shapes(model, auto_merge=True)
    except Exception:  # noqa: BLE001 - it raises anything; what is missing may not be needed
        return found
