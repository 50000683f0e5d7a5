"""From an ONNX model to a shared library, by TVM's relax frontend and LLVM."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import tvm
from tvm.relax.frontend.onnx import from_onnx

from hamerspace.backends._onnx_constants import constants_to_initializers


def read(path: Path) -> Any:
    """Read a model with its weights, constants as initialisers.

    The frontend knows ``Constant`` nodes that hold a tensor only, not those that hold numbers.
    """
    model = onnx.load(path)
    constants_to_initializers(model.graph, tensors=False)
    return model


def interface(model: Any) -> tuple[list[str], list[str]]:
    """Names of what the compiled function takes, and of what it returns, in order."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in weights]
    return inputs, [value.name for value in model.graph.output]


def compile_library(model: Any, shapes: Mapping[str, list[int]], library: Path) -> None:
    """Compile for the processor at hand; needs a C compiler for the linking.

    Args:
        model: What :func:`read` returned.
        shapes: Shapes to fix inputs to; others are free where the model says so.
        library: The file to write.
    """
    module = from_onnx(model, shape_dict=dict(shapes) or None, keep_params_in_input=False)
    target = tvm.target.Target.from_device("cpu")
    tvm.compile(module, target=target).export_library(str(library))
