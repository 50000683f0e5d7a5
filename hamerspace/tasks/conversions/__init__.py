"""Conversions between model formats. A new one is one module and one line here."""

from pathlib import Path

from hamerspace._registry import Registry
from hamerspace.errors import BuildError
from hamerspace.tasks.conversions.base import Conversion
from hamerspace.tasks.model import Arrays, ModelArtifact

CONVERSIONS: Registry[type[Conversion]] = Registry(
    "conversion",
    "hamerspace.conversions",
    {
        "pytorch->onnx": "hamerspace.tasks.conversions.torch:PytorchToOnnx",
        "pytorch->tflite": "hamerspace.tasks.conversions.torch:PytorchToTflite",
        "torch_export->onnx": "hamerspace.tasks.conversions.torch:TorchExportToOnnx",
        "torch_export->tflite": "hamerspace.tasks.conversions.torch:TorchExportToTflite",
        "torchscript->onnx": "hamerspace.tasks.conversions.torch:TorchScriptToOnnx",
        "keras->onnx": "hamerspace.tasks.conversions.tensorflow:KerasToOnnx",
        "keras->tflite": "hamerspace.tasks.conversions.tensorflow:KerasToTflite",
        "saved_model->onnx": "hamerspace.tasks.conversions.tensorflow:SavedModelToOnnx",
        "saved_model->tflite": "hamerspace.tasks.conversions.tensorflow:SavedModelToTflite",
        "onnx->pytorch": "hamerspace.tasks.conversions.torch:OnnxToPytorch",
        "tflite->onnx": "hamerspace.tasks.conversions.tensorflow:TfliteToOnnx",
    },
)
"""``origin->target`` to the class."""


def convert(model: ModelArtifact, target: str, example: Arrays, workdir: Path) -> ModelArtifact:
    """Convert a model in one step: see :meth:`Conversion.convert`.

    Raises:
        BuildError: There is no such conversion, it fails, or its outputs differ.
    """
    name = f"{model.format}->{target}"
    if name not in CONVERSIONS:
        raise BuildError(
            f"no conversion from {model.format} to {target}; known: {', '.join(CONVERSIONS)}"
        )
    return CONVERSIONS.load(name)().convert(model, example, workdir)


__all__ = ["CONVERSIONS", "Conversion", "convert"]
