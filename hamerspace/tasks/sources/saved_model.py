"""Source models that TensorFlow saved as a SavedModel."""

import shutil
from pathlib import Path
from typing import Any

from hamerspace.errors import SourceError
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo
from hamerspace.tasks.sources._tensorflow_operators import reaching_out
from hamerspace.tasks.sources.base import SourceFormat, SourceSpec, checked_file
from hamerspace.tasks.sources.inspection import LoadedModel, Weights, inspect_model
from hamerspace.tasks.sources.op_families import tensorflow_families
from hamerspace.tasks.tensorflow_module import (
    frozen_weights,
    graph_operators,
    input_specs,
    saved_function,
)

_FOLDER = "saved_model"


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
        function = saved_function(folder / _FOLDER, label=path)
        found = LoadedModel(
            label=str(path),
            run=function.run,
            inputs=input_specs(function),
            weights=Weights.of(frozen_weights(function), path),
            families=tensorflow_families(graph_operators(graph)),
            metadata={"model": _FOLDER},
            details={"tensorflow": _version(graph), "quantized": False},
        )
        return inspect_model(self.name, found, spec, example, folder)


def _checked_folder(spec: SourceSpec) -> Path:
    if spec.path is None:
        raise SourceError("task.source: this format needs 'path', the folder of the SavedModel")
    path = spec.root / spec.path
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


def _version(graph: Any) -> str:
    return str(graph.meta_info_def.tensorflow_version)
