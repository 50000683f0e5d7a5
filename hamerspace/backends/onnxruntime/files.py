"""ONNX files together with the external data that may stand beside them."""

import shutil
from pathlib import Path, PurePosixPath
from typing import Any

import onnx

from hamerspace.errors import BuildError
from hamerspace.tasks.onnx_graph import external_files, weights_by_type

MODEL_FILE = "model.onnx"


def copy_model(model: Path, folder: Path) -> None:
    """Copy a model file, as :data:`MODEL_FILE`, and its external data into ``folder``, unchanged.

    Raises:
        BuildError: As :func:`external_data` does.
    """
    names = external_data(model)
    shutil.copyfile(model, folder / MODEL_FILE)
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model.parent / name, target)


def strip_annotations(model: Path) -> None:
    """Drop what exporters note down for people at every node, such as Python stack traces.

    No runtime reads it, and in a small model it is a tenth of the bytes. Properties of the model
    as a whole, and weights in external files, stay as they are.
    """
    proto = onnx.load(model, load_external_data=False)
    _strip(proto.graph)
    for function in proto.functions:
        _strip(function)
    model.write_bytes(proto.SerializeToString())


def weights_of(model: Path) -> dict[str, int]:
    """Number of weights of a file by type."""
    return weights_by_type(onnx.load(model, load_external_data=False))


def external_data(model: Path) -> tuple[str, ...]:
    """Names of the files in which a model keeps weights, relative to its folder; sorted.

    Raises:
        BuildError: A name leads out of the model's folder, or a file is missing.
    """
    names = external_files(onnx.load(model, load_external_data=False))
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise BuildError(
                f"{model.name} names external data outside its folder: '{name}'; "
                "save it again with the data beside the model"
            )
        if not (model.parent / name).is_file():
            raise BuildError(
                f"{model.name} keeps weights in '{name}', which does not stand beside it; "
                "copy the data file into the model's folder"
            )
    return tuple(names)


def _strip(body: Any) -> None:
    """Annotations of a graph or a function, and of the graphs inside."""
    values = [*getattr(body, "input", ()), *getattr(body, "output", ()), *body.value_info]
    for item in (body, *body.node, *(v for v in values if not isinstance(v, str))):
        item.ClearField("doc_string")
        item.ClearField("metadata_props")
    for node in body.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _strip(attribute.g)
            for graph in attribute.graphs:
                _strip(graph)
