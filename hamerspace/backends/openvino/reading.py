"""Read a model so that its layers and its interface have names to rely on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openvino
import openvino.passes

from hamerspace.errors import BuildError
from hamerspace.tasks.model import ModelArtifact, TensorSpec

WEIGHTED = (
    "Convolution",
    "ConvolutionBackpropData",
    "GroupConvolution",
    "GroupConvolutionBackpropData",
    "MatMul",
)
RECURRENT = ("LSTMSequence", "GRUSequence", "RNNSequence", "LSTMCell", "GRUCell", "RNNCell")
LOOKUP = ("Gather",)

MOVING = (
    "Broadcast",
    "Clamp",
    "Concat",
    "Convert",
    "Gather",
    "MaxPool",
    "Pad",
    "Relu",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "StridedSlice",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "VariadicSplit",
)
"""Operators that hand values on, so that a quantiser before them serves the layer behind them."""


def read_model(source: ModelArtifact) -> Any:
    """Read a source as an ``openvino.Model`` with the source's input and output names.

    Operators are named after the nodes of the file or their outputs. Those that OpenVINO composes
    itself are numbered anew with every read; they are named after their type and position here.

    Raises:
        BuildError: Inputs or outputs of the source are not found.
    """
    path = source.file("model")
    model, other = _read(path), _read(path)
    counts: dict[str, int] = {}
    for op, twin in zip(model.get_ordered_ops(), other.get_ordered_ops(), strict=True):
        kind = op.get_type_name()
        counts[kind] = counts.get(kind, 0) + 1
        if op.get_friendly_name() != twin.get_friendly_name():
            op.set_friendly_name(f"{kind}#{counts[kind]}")
    tensors = _signature(path) if source.format == "tflite" else {}
    keep_names(model, source, tensors)
    return model


def _read(path: Path) -> Any:
    """Read and fold what does not depend on the inputs: NNCF stumbles over constant embeddings.

    Weights that are stored in few bits would be folded too, to float32.
    """
    model = openvino.Core().read_model(path)
    if any(_is_quantized_weight(op) for op in model.get_ops()):
        return model
    manager = openvino.passes.Manager()
    manager.register_pass(openvino.passes.ConstantFolding())
    manager.run_passes(model)
    return model


def _is_quantized_weight(op: Any) -> bool:
    if op.get_type_name() != "Constant" or len(op.shape) < 2:
        return False
    return bool(op.get_element_type().get_type_name() in ("i8", "u8", "i4", "u4"))


def keep_names(model: Any, source: ModelArtifact, tensors: Mapping[str, str] | None = None) -> None:
    """Give inputs and outputs the source's names where a transformation has lost them.

    Args:
        model: The ``openvino.Model``.
        source: What it was read from.
        tensors: Name of the tensor for each input and output; default: their order tells.

    Raises:
        BuildError: There are more or fewer of them than in the source.
    """
    for ports, specs in ((model.inputs, source.inputs), (model.outputs, source.outputs)):
        if len(ports) != len(specs):
            raise BuildError(
                f"OpenVINO reads {len(ports)} inputs or outputs where the source has "
                f"{len(specs)} ({', '.join(spec.name for spec in specs)}); remove unused ones"
            )
        present = {name for port in ports for name in port.names}
        for position, spec in enumerate(specs):
            if spec.name not in present:
                port = _port(ports, position, spec, tensors or {})
                port.tensor.add_names({spec.name})


def weighted_layers(model: Any) -> dict[str, int]:
    """Number of weights of each layer that weight compression takes, in the order of computation.

    NNCF leaves the weights of recurrent layers as they are.
    """
    kinds = (*WEIGHTED, *LOOKUP)
    counts = {
        op.get_friendly_name(): weight_count(op)
        for op in model.get_ordered_ops()
        if op.get_type_name() in kinds
    }
    return {name: count for name, count in counts.items() if count > 1}


def weight_count(op: Any) -> int:
    """Number of elements of the floating-point constants that an operator takes."""
    return sum(_constant_size(op.input_value(i)) for i in range(op.get_input_size()))


def _port(ports: Any, position: int, spec: TensorSpec, tensors: Mapping[str, str]) -> Any:
    if not tensors:
        return ports[position]
    wanted = tensors.get(spec.name)
    for port in ports:
        if wanted in port.names:
            return port
    raise BuildError(f"OpenVINO finds no tensor for '{spec.name}' in this TFLite file")


def _signature(path: Path) -> dict[str, str]:
    """Tensor names by the names of a TFLite file's signature; empty where it has none."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    signatures = list(interpreter.get_signature_list())
    if not signatures:
        return {}
    runner = interpreter.get_signature_runner(signatures[0])
    details = {**runner.get_input_details(), **runner.get_output_details()}
    return {name: detail["name"] for name, detail in details.items()}


def _constant_size(value: Any) -> int:
    """Number of elements of a floating-point constant behind conversions of its type."""
    node = value.get_node()
    while node.get_type_name() in ("Convert", "FakeQuantize", "Reshape", "Transpose"):
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant" or not value.get_element_type().is_real():
        return 0
    size = 1
    for dim in node.get_output_shape(0):
        size *= dim
    return size
