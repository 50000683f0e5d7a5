"""Source models of TensorFlow: what Keras saved, as an archive or HDF5, and SavedModels."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hamerspace.errors import SourceError
from hamerspace.tasks.keras_file import copy_for_inference, is_archive, own_objects
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo
from hamerspace.tasks.sources._tensorflow_operators import reaching_out
from hamerspace.tasks.sources.base import SourceFormat, SourceSpec, checked_file
from hamerspace.tasks.sources.inspection import LoadedModel, Weights, inspect_model
from hamerspace.tasks.sources.op_families import keras_families, tensorflow_families
from hamerspace.tasks.tensorflow_module import (
    frozen_weights,
    graph_nodes,
    import_keras,
    input_specs,
    keras_function,
    load_keras,
    saved_function,
)

_FOLDER = "saved_model"


class KerasSource(SourceFormat):
    """A Keras 3 model. Layers of the user's own are read only where the file is trusted.

    The artifact's metadata name the file under ``model``, and under ``root`` the folder of the
    user's layers where these were trusted. ``details["layers"]`` are the classes of its layers.
    """

    name = "keras"

    def open(
        self, spec: SourceSpec, example: Arrays | None, folder: Path
    ) -> tuple[ModelArtifact, SourceInfo]:
        keras = import_keras()
        from hamerspace.tasks.keras_precision import half_precision

        path = spec.file
        # Keras tells its two file formats apart by the suffix.
        file = "model.keras" if is_archive(path) else "model.h5"
        copy_for_inference(path, folder / file)
        metadata: dict[str, Any] = {"model": file}
        root = _code_folder(path.resolve(), spec.root.resolve()) if spec.trust_pickle else None
        if root is not None:
            metadata["root"] = str(root)
        model = load_keras(folder / file, root)
        function = keras_function(model, folder / file)
        half = half_precision(model)
        note = (
            f"The model computes in {half}, by the dtype policy of its layers, and is measured so; "
            "candidates compute in float32 before they are quantised."
        )
        layers = tuple(sorted(set(_layer_classes(model.get_config()))))
        found = LoadedModel(
            label=str(path),
            run=function.run,
            inputs=input_specs(function),
            weights=Weights.of({w.path: np.asarray(w) for w in model.weights}, path),
            families=keras_families(layers),
            metadata=metadata,
            details={
                "keras": keras.__version__,
                "layers": list(layers),
                "quantized": any(_quantized(layer) for layer in model.layers),
                "notes": [] if half is None else [note],
            },
        )
        return inspect_model(self.name, found, spec, example, folder)


class SavedModelSource(SourceFormat):
    """A folder with ``saved_model.pb``; its signature ``serving_default`` is the model."""

    name = "saved_model"

    def open(
        self, spec: SourceSpec, example: Arrays | None, folder: Path
    ) -> tuple[ModelArtifact, SourceInfo]:
        path = _checked_folder(spec)
        graph = _read(path)
        reaching = [] if spec.trust_pickle else reaching_out(graph)
        if reaching:
            raise SourceError(
                f"{path} may do more than compute when it is loaded or run: {', '.join(reaching)} "
                "can reach files, Python or other processes; export it without; or, if you trust "
                "it, allow it with --trust-pickle"
            )
        shutil.copytree(path, folder / _FOLDER)
        function = saved_function(folder / _FOLDER)
        found = LoadedModel(
            label=str(path),
            run=function.run,
            inputs=input_specs(function),
            weights=Weights.of(frozen_weights(function), path),
            families=tensorflow_families(n.op for n in graph_nodes(graph.graph_def)),
            metadata={"model": _FOLDER},
            details={"tensorflow": str(graph.meta_info_def.tensorflow_version), "quantized": False},
        )
        return inspect_model(self.name, found, spec, example, folder)


def _code_folder(path: Path, root: Path) -> Path:
    """Where layers of the user's own are looked for: beside the model, within the study's folder.

    Elsewhere a change of the code would go unnoticed.
    """
    return path.parent if path.is_relative_to(root) and own_objects(path, path.parent) else root


def _layer_classes(value: Any) -> Iterator[str]:
    """Class names in a configuration, those within wrappers and nested models included."""
    if isinstance(value, dict):
        layer = value.get("module") == "keras.layers" or value.get("registered_name")
        if layer and isinstance(value.get("class_name"), str):
            yield value["class_name"]
        for part in value.values():
            yield from _layer_classes(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _layer_classes(part)


def _quantized(layer: Any) -> bool:
    mode = getattr(layer, "quantization_mode", None)
    return mode is not None or any(_quantized(child) for child in getattr(layer, "layers", ()))


def _checked_folder(spec: SourceSpec) -> Path:
    path = spec.located("the folder of the SavedModel")
    checked_file(path / "saved_model.pb", "task.source.path")
    if not (path / "variables").is_dir() and not (path / "fingerprint.pb").is_file():
        raise SourceError(
            f"{path} has no folder 'variables'; copy the whole folder of the SavedModel"
        )
    return path


def _read(path: Path) -> Any:
    """The graph of the file, read without running any of it."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    message = SavedModel()
    try:
        message.ParseFromString((path / "saved_model.pb").read_bytes())
    except Exception as error:
        raise SourceError(
            f"{path / 'saved_model.pb'} is damaged or truncated ({error}); export it again"
        ) from error
    if not message.meta_graphs:
        raise SourceError(f"{path / 'saved_model.pb'} holds no graph; export it again")
    return message.meta_graphs[0]
