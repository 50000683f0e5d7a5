"""Readers of source models, one module a format. A new one is one module and one line here."""

import re
from pathlib import Path

from hamerspace._registry import Registry
from hamerspace._text import has_control
from hamerspace.errors import DataError, SourceError
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo
from hamerspace.tasks.sources.base import SourceFormat, SourceSpec
from hamerspace.tasks.sources.detect import detect_format

SOURCES: Registry[type[SourceFormat]] = Registry(
    "source format",
    "hamerspace.sources",
    {
        "pytorch": "hamerspace.tasks.sources.pytorch:PytorchSource",
        "torch_export": "hamerspace.tasks.sources.torch_files:TorchExportSource",
        "torchscript": "hamerspace.tasks.sources.torch_files:TorchScriptSource",
        "transformers": "hamerspace.tasks.sources.transformers:TransformersSource",
        "onnx": "hamerspace.tasks.sources.onnx:OnnxSource",
        "keras": "hamerspace.tasks.sources.tensorflow:KerasSource",
        "saved_model": "hamerspace.tasks.sources.tensorflow:SavedModelSource",
        "tflite": "hamerspace.tasks.sources.tflite:TfliteSource",
    },
)

_EXTRAS = {
    "onnx": "onnx",
    "transformers": "transformers",
    "keras": "tensorflow",
    "saved_model": "tensorflow",
    "tflite": "tensorflow",
}
"""The extra that brings what reads a format, where that is not ``pytorch``."""


def open_source(
    spec: SourceSpec, example: Arrays | None, folder: Path
) -> tuple[ModelArtifact, SourceInfo]:
    """Copy a source model into ``folder``, run it once, and tell what it is.

    Args:
        spec: What the study file says.
        example: One batch of inputs by name, or ``None`` without data.
        folder: An empty folder; the artifact's.

    Raises:
        SourceError: The model cannot be read, or is refused; names the file and what to do.
        DataError: The model and the example do not fit; names both sides.
    """
    name = detect_format(spec)
    try:
        source = SOURCES.load(name)()
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(name, "pytorch")
        raise SourceError(
            f"reading {name} models needs '{error.name}', which is not installed; "
            f"run: pip install 'hamerspace[{extra}]'"
        ) from error
    try:
        artifact, info = source.open(spec, example, folder)
    except (SourceError, DataError) as error:
        # Runtimes name the copy that they read, which says nothing to its user.
        ours = rf"{re.escape(str(folder))}[^\s:;,'\")]*"
        told = re.sub(ours, lambda _: str(spec.path or spec.builder), str(error))
        raise type(error)(told) from error
    _refuse_control(spec, info)
    return artifact, info


def _refuse_control(spec: SourceSpec, info: SourceInfo) -> None:
    for kind, tensors in (("input", info.inputs), ("output", info.outputs)):
        for tensor in tensors:
            if has_control(tensor.name):
                raise SourceError(
                    f"{spec.path or spec.builder}: the name of the {kind} {tensor.name!r} has "
                    "control characters; rename it in the model and export it again"
                )


__all__ = ["SOURCES", "SourceFormat", "SourceSpec", "detect_format", "open_source"]
