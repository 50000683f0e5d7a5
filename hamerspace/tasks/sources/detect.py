"""Tell the format of a model file by its content."""

import zipfile
from pathlib import Path

from hamerspace.errors import SourceError
from hamerspace.tasks.sources.base import SourceSpec

_SUPPORTED = (
    "Hamerspace reads .onnx, torch.export .pt2, TorchScript .pt, .keras, Keras .h5, .tflite, the "
    "folder of a SavedModel or of a Hugging Face model, or a builder with weights"
)
_FOLDERS = {"config.json": "transformers", "saved_model.pb": "saved_model"}
"""The file that shows a folder's format."""
_BUILT_IN = ("onnx", "pytorch", "torch_export", "torchscript", "keras", "tflite")
_PICKLE_STARTS = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))


def detect_format(spec: SourceSpec) -> str:
    """Name of the source format: what the study file says, checked against the file itself.

    Raises:
        SourceError: The file is missing, damaged, or of a format that is not read.
    """
    if spec.builder is not None:
        if spec.format not in (None, "pytorch"):
            raise SourceError(
                f"task.source: a 'builder' makes a pytorch model, but 'format' is '{spec.format}'; "
                "leave 'format' out"
            )
        return "pytorch"
    folder = _folder_format(spec)
    if folder is not None:
        return folder
    path = spec.file
    found = sniff(path)
    if found is None:
        if spec.format not in (None, *_BUILT_IN):
            return str(spec.format)  # another package's format, which knows its own files
        raise SourceError(
            f"{path} is not a model file that is known, or it is damaged; {_SUPPORTED}"
        )
    if spec.format is not None and spec.format != found:
        raise SourceError(
            f"{path} is a {found} file, but task.source.format says '{spec.format}'; "
            "leave 'format' out"
        )
    return found


def _folder_format(spec: SourceSpec) -> str | None:
    """The format of a model that is a folder, told by what lies in it; ``None`` for a file."""
    if spec.format in _FOLDERS.values():
        return spec.format
    if spec.path is None:
        return None
    path = spec.root / spec.path
    if path.name == "saved_model.pb" and path.is_file():
        raise SourceError(f"{path} is a part of a SavedModel; name its folder, {path.parent}")
    found = next((name for file, name in _FOLDERS.items() if (path / file).is_file()), None)
    if found is not None and spec.format is not None:
        raise SourceError(
            f"{path} is the folder of a {found} model, but task.source.format says "
            f"'{spec.format}'; leave 'format' out"
        )
    return found


def sniff(path: Path) -> str | None:
    """The built-in format that the file's content shows, or ``None``.

    Raises:
        SourceError: The file is damaged, or of a well-known format that is not read.
    """
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"PK"):
        return _sniff_archive(path)
    if head.startswith(_PICKLE_STARTS):
        return "pytorch"
    if head.startswith(b"\x89HDF"):
        return "keras"
    if head[4:8] == b"TFL3":
        return "tflite"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        raise SourceError(
            f"{path} holds weights without a model; name it under 'weights' and give a 'builder' "
            "(module:function that returns the torch.nn.Module) instead of 'path'"
        )
    # A serialized ONNX ModelProto starts with its ir_version: field 1, varint.
    if path.suffix.lower() == ".onnx" or head[:1] == b"\x08":
        return "onnx"
    return None


def _sniff_archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise SourceError(
            f"{path} is a damaged or truncated archive ({error}); export or copy it again"
        ) from error
    if damaged is not None:
        raise SourceError(f"{path} is damaged in '{damaged}'; export or copy it again")
    parts = {name.partition("/")[2] or name for name in names}
    if any(part.startswith("data/aotinductor") for part in parts):
        raise SourceError(
            f"{path} is compiled by AOTInductor and cannot be changed any more; give the "
            "torch.export archive or the module it was compiled from"
        )
    if "models/model.json" in parts or "serialized_exported_program.json" in names:
        return "torch_export"
    if "constants.pkl" in parts and any(part.startswith("code/") for part in parts):
        return "torchscript"
    if "data.pkl" in parts:
        return "pytorch"
    if {"config.json", "model.weights.h5"} <= set(names):
        return "keras"
    raise SourceError(f"{path} is a zip archive but of neither torch nor Keras; {_SUPPORTED}")
