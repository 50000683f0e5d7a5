"""ONNX files together with the external data that may stand beside them."""

import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from hamerspace.errors import BuildError
from hamerspace.tasks.onnx_graph import external_files, weights_by_type

MODEL_FILE = "model.onnx"


def copy_model(model: Path, folder: Path) -> None:
    """Copy a model file, as :data:`MODEL_FILE`, and its external data into ``folder``, unchanged.

    Raises:
        BuildError: The external data are missing, or lie outside the model's folder.
    """
    check_external_data(model)
    shutil.copyfile(model, folder / MODEL_FILE)
    for name in external_data(model):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model.parent / name, target)


def check_external_data(model: Path) -> None:
    """Look for what a model keeps beside it.

    Raises:
        BuildError: As :func:`copy_model` does.
    """
    for name in external_data(model):
        if not (model.parent / name).is_file():
            raise BuildError(
                f"{model.name} keeps weights in '{name}', which does not stand beside it; "
                "copy the data file into the model's folder"
            )


def strip_annotations(model: Path) -> None:
    """Drop what exporters note down for people at every node, such as Python stack traces.

    No runtime reads it, and in a small model it is a tenth of the bytes. Properties of the model
    as a whole, and weights in external files, stay as they are.
    """
    import onnx

    proto = onnx.load(model, load_external_data=False)
    _strip(proto.graph)
    for function in proto.functions:
        _strip(function)
    model.write_bytes(proto.SerializeToString())


def weights_of(model: Path) -> dict[str, int]:
    """Number of weights of a file by type."""
    import onnx

    return weights_by_type(onnx.load(model, load_external_data=False))


def external_data(model: Path) -> tuple[str, ...]:
    """Names of the files in which a model keeps weights, relative to its folder; sorted.

    Raises:
        BuildError: A name leads out of the model's folder.
    """
    import onnx

    names = external_files(onnx.load(model, load_external_data=False))
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise BuildError(
                f"{model.name} names external data outside its folder: '{name}'; "
                "save it again with the data beside the model"
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
