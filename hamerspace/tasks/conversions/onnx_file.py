"""ONNX files: read, run, arranged and written, with weights beside those that cannot hold them."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hamerspace.errors import BuildError
from hamerspace.tasks.conversions.base import check_agreement, one_line
from hamerspace.tasks.example import example_batch
from hamerspace.tasks.model import Arrays, ModelArtifact

OPSET = 18
"""The newest opset that every exporter and every runtime here takes."""

_SINGLE_FILE_BYTES = 1_900_000_000
"""A protobuf message ends at 2 GiB; the rest of the graph needs some of that."""


def check_onnx(path: Path, model: ModelArtifact, batch: Arrays, wanted: Arrays) -> None:
    """Compare a file in ONNX Runtime with what the model itself returned.

    Raises:
        BuildError: ONNX Runtime does not take it; an output is missing, or differs.
    """
    try:
        found = run_onnx(path, model, batch)
    except Exception as error:
        raise BuildError(f"ONNX Runtime does not take the result: {one_line(error)}") from error
    check_agreement(model.outputs, wanted, found, "ONNX")


def run_onnx(path: Path, model: ModelArtifact, batch: Arrays) -> Arrays:
    """Run a file in ONNX Runtime and return the model's outputs."""
    from hamerspace.tasks.onnx_graph import load_session

    names = [t.name for t in model.outputs]
    return dict(zip(names, load_session(path).run(names, dict(batch)), strict=True))


def read_in_float32(model: ModelArtifact) -> Any:
    """Read a model as :func:`~hamerspace.tasks.onnx_graph.read_onnx` does, to compute in float32.

    Quantisers look at float32 only, and what is lost in it is far less than they lose.

    Raises:
        BuildError: A model of doubles answers otherwise in float32.
    """
    import onnx

    from hamerspace.tasks import onnx_graph

    proto = onnx_graph.read_onnx(model)
    if not onnx_graph.in_float32(proto):
        return proto
    batch = example_batch(model.inputs, None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float32.onnx"
        save_onnx(proto, path)
        check_onnx(path, model, batch, run_onnx(model.file("model"), model, batch))
        return onnx.load(path)


def prepared_file(model: ModelArtifact, folder: Path, *, in_float32: bool) -> Path:
    """The model's own file, or one in ``folder`` with what readers see of it.

    Raises:
        BuildError: As :func:`read_in_float32`.
    """
    import onnx

    from hamerspace.tasks import onnx_graph

    path = model.file("model")
    graph = onnx.load(path, load_external_data=False)
    floats = in_float32 and onnx_graph.has_other_floats(graph)
    if not floats and not onnx_graph.foldable(graph):
        return path
    prepared = folder / "prepared.onnx"
    save_onnx(read_in_float32(model) if floats else onnx_graph.read_onnx(model), prepared)
    return prepared


def rename(graph: Any, names: Mapping[str, str]) -> None:
    """Give tensors of a graph, and of the graphs within its nodes, other names.

    A tensor that has one of the new names already is renamed out of the way.
    """
    from hamerspace.tasks.onnx_graph import graphs_of

    taken = set(names.values()) - set(names)
    all_names = {**{name: f"{name}__inner" for name in taken}, **names}
    for inner in graphs_of(graph):
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
    from hamerspace.tasks.onnx_graph import refill

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
            if spec.free_axis is not None and spec.free_axis < len(dims):
                dims[spec.free_axis].dim_param = "batch"
        refill(values, ordered)


def save_checked(
    proto: Any, model: ModelArtifact, workdir: Path, batch: Arrays, wanted: Arrays
) -> ModelArtifact:
    """Arrange, write and check what a converter made of a model.

    Raises:
        BuildError: As :func:`arrange` and :func:`check_onnx`.
    """
    arrange(proto, model)
    path = workdir / "model.onnx"
    metadata = save_onnx(proto, path)
    check_onnx(path, model, batch, wanted)
    return ModelArtifact(workdir, "onnx", model.inputs, model.outputs, metadata).save()


def save_onnx(proto: Any, path: Path) -> dict[str, Any]:
    """Write a model, with its weights inside where they fit into a protobuf message.

    Returns:
        Metadata of an artifact: the file is its ``model``, and ``external`` holds the name of the
        one beside it, if any, to which ``proto`` then has given its weights.
    """
    import onnx

    from hamerspace.tasks.onnx_graph import weight_bytes

    if not is_large(weight_bytes(proto)):
        onnx.save_model(proto, path)
        return metadata_of(path, [])
    data = f"{path.name}.data"
    path.with_name(data).unlink(missing_ok=True)  # it would be appended to
    onnx.save_model(proto, path, save_as_external_data=True, location=data)
    return metadata_of(path, [data])


def is_large(weight_bytes: int) -> bool:
    """Whether so many bytes of weights need a file of their own beside the graph."""
    return weight_bytes >= _SINGLE_FILE_BYTES


def metadata_of(path: Path, external: Sequence[str]) -> dict[str, Any]:
    """Metadata of an artifact, from its file and the names of those with weights beside it."""
    return {"model": path.name, **({"external": list(external)} if external else {})}
