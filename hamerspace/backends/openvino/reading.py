"""Read a model so that its layers and its interface have names to rely on."""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openvino
import openvino.passes

from hamerspace.errors import BuildError
from hamerspace.tasks.conversions.onnx_file import prepared_file
from hamerspace.tasks.model import ModelArtifact, TensorSpec
from hamerspace.tasks.tflite import details_of

WEIGHTED = (
    "Convolution",
    "ConvolutionBackpropData",
    "GroupConvolution",
    "GroupConvolutionBackpropData",
    "MatMul",
)
RECURRENT = ("LSTMSequence", "GRUSequence", "RNNSequence", "LSTMCell", "GRUCell", "RNNCell")
LOOKUP = ("Gather",)

_TYPES = {
    "f64": "float64",
    "f32": "float32",
    "f16": "float16",
    "bf16": "bfloat16",
    "i8": "int8",
    "u8": "uint8",
    "i4": "int4",
    "u4": "uint4",
}

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


def read_model(source: ModelArtifact, folder: Path, *, in_float32: bool = False) -> Any:
    """Read a source as an ``openvino.Model`` with the source's input and output names.

    Operators are named after the nodes of the file or their outputs. Those that OpenVINO composes
    itself are numbered anew with every read; they are named after their type and position here.

    Args:
        source: The model.
        folder: For a file that the model may need to be read from, which stays until it is saved.
        in_float32: Whether an ONNX model of another floating-point type is to become one of
            float32, the only type that NNCF quantises.

    Raises:
        BuildError: Inputs or outputs of the source are not found, or it answers otherwise in
            float32.
    """
    path = source.file("model")
    if source.format == "onnx":
        path = prepared_file(source, folder, in_float32=in_float32)
    model, other = (_read(path, folded=in_float32) for _ in range(2))
    counts: Counter[str] = Counter()
    for op, twin in zip(model.get_ordered_ops(), other.get_ordered_ops(), strict=True):
        kind = op.get_type_name()
        counts[kind] += 1
        if op.get_friendly_name() != twin.get_friendly_name():
            op.set_friendly_name(f"{kind}#{counts[kind]}")
    tensors = _signature(path) if source.format == "tflite" else {}
    keep_names(model, source, tensors)
    if in_float32 and source.format == "onnx":
        take_float32(model, source)
    return model


def _read(path: Path, *, folded: bool) -> Any:
    """Read and fold what does not depend on the inputs: NNCF stumbles over constant embeddings.

    Weights that are stored in few bits would be folded too, to float32.
    """
    model = openvino.Core().read_model(path)
    if not folded or any(_is_quantized_weight(op) for op in model.get_ops()):
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


def take_float32(model: Any, source: ModelArtifact) -> None:
    """Let every input and output of another floating-point type be of float32, in place.

    NNCF would quantise it where it is not yet converted, and there is no kernel that returns
    float64 from int8. So a session converts.
    """
    for parameter in model.get_parameters():
        if _is_other_float(parameter):
            parameter.set_element_type(openvino.Type.f32)
    for result in model.get_results():
        before = result.input_value(0).get_node()
        if _is_other_float(before) and before.get_type_name() == "Convert":
            result.input(0).replace_source_output(before.input_value(0))
    model.validate_nodes_and_infer_types()
    keep_names(model, source)


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


def recurrent_layers(model: Any) -> list[str]:
    """Names of the recurrent layers, in the order of computation."""
    ops = model.get_ordered_ops()
    return [op.get_friendly_name() for op in ops if op.get_type_name() in RECURRENT]


def compile_model(model: Any) -> Any:
    """Compile a model as it is timed, save for the number of threads."""
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    return openvino.Core().compile_model(model, "CPU", options)


def weights_by_type(model: Any) -> dict[str, int]:
    """Number of elements of the constants with two dimensions or more, by type.

    Integers count where they are scaled: turned into floating point.
    """
    counts: Counter[str] = Counter()
    for op in model.get_ops():
        if op.get_type_name() != "Constant" or len(op.get_output_shape(0)) < 2:
            continue
        kind = op.get_element_type()
        if kind.is_real() or kind.get_type_name() == "nf4" or _is_converted(op):
            name = str(kind.get_type_name())
            counts[_TYPES.get(name, name)] += math.prod(op.get_output_shape(0))
    return dict(counts)


def weight_count(op: Any) -> int:
    """Number of elements of the floating-point constants that an operator takes."""
    return sum(_constant_size(op.input_value(i)) for i in range(op.get_input_size()))


def _is_other_float(op: Any) -> bool:
    kind = op.get_element_type()
    return bool(kind.is_real() and kind != openvino.Type.f32)


def _is_converted(op: Any) -> bool:
    readers = [port.get_node() for port in op.output(0).get_target_inputs()]
    return any(
        reader.get_type_name() == "Convert" and reader.get_element_type().is_real()
        for reader in readers
    )


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

    inputs, outputs = details_of(Interpreter(model_path=str(path)))
    if isinstance(inputs, list):
        return {}
    return {name: detail["name"] for name, detail in {**inputs, **outputs}.items()}


def _constant_size(value: Any) -> int:
    """Number of elements of a floating-point constant behind conversions of its type."""
    node = value.get_node()
    while node.get_type_name() in ("Convert", "FakeQuantize", "Reshape", "Transpose"):
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant" or not value.get_element_type().is_real():
        return 0
    return math.prod(node.get_output_shape(0))
