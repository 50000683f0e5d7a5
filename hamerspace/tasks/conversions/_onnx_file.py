"""What the conversions to ONNX share."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hamerspace.errors import BuildError
from hamerspace.tasks.conversions.base import check_agreement, one_line
from hamerspace.tasks.model import Arrays, ModelArtifact

OPSET = 18
"""The newest opset that every exporter and every runtime here takes."""

SINGLE_FILE_BYTES = 1_900_000_000
"""A protobuf message ends at 2 GiB; the rest of the graph needs some of that."""


def check_onnx(path: Path, model: ModelArtifact, batch: Arrays, wanted: Arrays) -> None:
    """Compare a file in ONNX Runtime with what the model itself returned.

    Raises:
        BuildError: ONNX Runtime does not take it; an output is missing, or differs.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    names = [t.name for t in model.outputs]
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        found = dict(zip(names, session.run(names, dict(batch)), strict=True))
    except Exception as error:
        raise BuildError(f"ONNX Runtime does not take the result: {one_line(error)}") from error
    check_agreement(model.outputs, wanted, found, "ONNX")


def rename(graph: Any, names: Mapping[str, str]) -> None:
    """Give tensors of a graph, and of the graphs within its nodes, other names.

    A tensor that has one of the new names already is renamed out of the way.
    """
    taken = set(names.values()) - set(names)
    all_names = {**{name: f"{name}__inner" for name in taken}, **names}
    for inner in _graphs(graph):
        for node in inner.node:
            node.input[:] = [all_names.get(name, name) for name in node.input]
            node.output[:] = [all_names.get(name, name) for name in node.output]
        for values in (inner.input, inner.output, inner.value_info, inner.initializer):
            for value in values:
                value.name = all_names.get(value.name, value.name)


def arrange(proto: Any, model: ModelArtifact) -> None:
    """Put the graph's inputs and outputs into the model's order, and name the batch.

    Raises:
        BuildError: One of them is lost.
    """
    for values, specs in ((proto.graph.input, model.inputs), (proto.graph.output, model.outputs)):
        found = {value.name: value for value in values}
        missing = [spec.name for spec in specs if spec.name not in found]
        if missing:
            raise BuildError(
                f"'{missing[0]}' is lost in ONNX, which has {', '.join(found) or 'nothing'}"
            )
        ordered = [found[spec.name] for spec in specs]
        for value, spec in zip(ordered, specs, strict=True):
            dims = value.type.tensor_type.shape.dim
            if dims and spec.shape and spec.shape[0] is None:
                dims[0].dim_param = "batch"
        del values[:]
        values.extend(ordered)


def save_onnx(proto: Any, path: Path) -> None:
    """Write a model into one file.

    Raises:
        BuildError: It is too large for that.
    """
    import onnx

    try:
        onnx.save_model(proto, path)
    except ValueError as error:
        raise BuildError(f"the model does not fit into one ONNX file: {error}") from error


def _graphs(graph: Any) -> Iterator[Any]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)
