"""PyTorch modules and exported programs to TFLite, by litert-torch in its tool environment."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hamerspace.errors import BuildError, ConfigError, SourceError
from hamerspace.tasks.conversions.base import Conversion, check_agreement, in_float32
from hamerspace.tasks.example import example_batch
from hamerspace.tasks.model import Arrays, ModelArtifact, TensorSpec
from hamerspace.tasks.tflite import TfliteModel, name_signature

if TYPE_CHECKING:
    from hamerspace.tasks.torch_module import NamedModule

_FILE = "model.tflite"
_ENVIRONMENT = "litert-torch"


class _TorchToTflite(Conversion):
    """Converted at the deployment batch size, which the file keeps unless it can be resized.

    litert-torch follows a free batch dimension through few models (a flattening ends it), and
    LiteRT computes faster with shapes that it knows.
    """

    target = "tflite"
    modules = ("litert_torch", "torch", "ai_edge_litert")
    extra = ""
    distributions = ("litert-torch", "torch")
    environment = _ENVIRONMENT
    build_modules = ("torch", "litert_torch", "ai_edge_litert.interpreter")

    def convert(self, model: ModelArtifact, example: Arrays, workdir: Path) -> ModelArtifact:
        import litert_torch
        import torch

        from hamerspace.tasks.torch_module import to_tensor

        rows = _rows(model.inputs, example)
        batch = example_batch(model.inputs, example, rows)
        module = in_float32(_load(model), model, batch)
        path = workdir / _FILE
        try:
            with torch.no_grad():
                converted = litert_torch.convert(
                    module, tuple(to_tensor(batch[spec.name]) for spec in model.inputs)
                )
            converted.export(str(path))
        except Exception as error:
            text = f"{type(error).__name__}: {error}".split("\n")[0][:300]
            raise BuildError(f"litert-torch cannot convert the model; {text}") from error
        name_signature(
            path,
            {f"args_{i}": spec.name for i, spec in enumerate(model.inputs)},
            {f"output_{i}": spec.name for i, spec in enumerate(model.outputs)},
        )
        found = TfliteModel(path, model.inputs, model.outputs).run(batch)
        check_agreement(model.outputs, module.run(batch), found, "TFLite")
        inputs, outputs = model.inputs, model.outputs
        if inputs[0].shape[0] is None and not _resizable(model, module, example, rows, path):
            inputs, outputs = _fixed(inputs, batch), _fixed(outputs, found)
        return ModelArtifact(workdir, "tflite", inputs, outputs, {"model": _FILE}).save()


class PytorchToTflite(_TorchToTflite):
    origin = "pytorch"


class TorchExportToTflite(_TorchToTflite):
    origin = "torch_export"


def _load(model: ModelArtifact) -> "NamedModule":
    from hamerspace.tasks.torch_module import load_module

    try:
        return load_module(model)
    except (ConfigError, SourceError) as error:
        raise BuildError(
            f"the model cannot be made in the tool environment {_ENVIRONMENT}, which holds torch "
            f"and transformers but not what else is installed here: {error}"
        ) from error


def _rows(inputs: tuple[TensorSpec, ...], example: Arrays) -> int:
    """Rows of the example, which is one batch of the deployment's."""
    counts = [len(example[s.name]) for s in inputs if s.name in example and not s.constant]
    return counts[0] if counts else 1


def _resizable(
    model: ModelArtifact, module: "NamedModule", example: Arrays, rows: int, path: Path
) -> bool:
    """Whether the file computes the same as the module for a batch of another size."""
    batch = example_batch(model.inputs, example, rows + 2)
    try:
        found = TfliteModel(path, model.inputs, model.outputs).run(batch)
        check_agreement(model.outputs, module.run(batch), found, "TFLite")
    except (BuildError, RuntimeError, ValueError):
        return False
    return True


def _fixed(specs: tuple[TensorSpec, ...], arrays: dict[str, Any]) -> tuple[TensorSpec, ...]:
    return tuple(
        spec if spec.constant else replace(spec, shape=np.shape(arrays[spec.name]))
        for spec in specs
    )
