"""Hugging Face models: a local folder with a ``config.json`` and safetensors."""

import shutil
from dataclasses import replace
from pathlib import Path

from hamerspace.errors import SourceError
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo
from hamerspace.tasks.parametrised import fold
from hamerspace.tasks.sources.base import SourceFormat, SourceSpec
from hamerspace.tasks.sources.pytorch import inspect_python_module
from hamerspace.tasks.torch_module import WEIGHTS, write_weights
from hamerspace.tasks.transformers_module import CONFIG_FILE, load_pretrained

_WEIGHT_FILES = ("model.safetensors", "model.safetensors.index.json")
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")


class TransformersSource(SourceFormat):
    """A folder as ``save_pretrained`` writes it; nothing is ever fetched from a hub.

    The class is the first of ``architectures``; its inputs are those arguments of ``forward``
    that the data have, its outputs the tensors of what it returns, in order. The artifact is of
    format ``pytorch``, so that every technique and backend for PyTorch modules takes it. Its
    ``metadata`` hold the ``config`` file and the ``dtype`` of the weights.
    """

    name = "transformers"

    def open(
        self, spec: SourceSpec, example: Arrays | None, folder: Path
    ) -> tuple[ModelArtifact, SourceInfo]:
        origin = checked_folder(spec)
        module = load_pretrained(
            origin, safetensors=_holds_safetensors(origin, trusted=spec.trust_pickle)
        )
        shutil.copyfile(origin / CONFIG_FILE, folder / CONFIG_FILE)
        fold(module)
        write_weights(module, folder / WEIGHTS)
        dtype = next(p.dtype for p in module.parameters() if p.is_floating_point())
        metadata = {
            "transformers": CONFIG_FILE,
            "dtype": str(dtype).removeprefix("torch."),
            "weights": WEIGHTS,
        }
        artifact, info = inspect_python_module(
            module, f"the {type(module).__name__} of {origin}", metadata, spec, example, folder
        )
        return artifact, replace(info, details={"transformers": type(module).__name__})


def checked_folder(spec: SourceSpec) -> Path:
    """The model's folder.

    Raises:
        SourceError: It is no folder, or has no ``config.json``.
    """
    path = spec.located("the folder of the model")
    if not path.is_dir():
        raise SourceError(
            f"task.source.path: {path} is not a folder; name the one with {CONFIG_FILE}"
        )
    if not (path / CONFIG_FILE).is_file():
        raise SourceError(
            f"task.source.path: {path} has no {CONFIG_FILE}; write the folder with "
            "model.save_pretrained(folder)"
        )
    return path


def _holds_safetensors(folder: Path, *, trusted: bool) -> bool:
    """Whether the weights are safetensors; pickles are taken only where they are trusted."""
    if any((folder / name).is_file() for name in _WEIGHT_FILES):
        return True
    if not any((folder / name).is_file() for name in _PICKLED):
        raise SourceError(
            f"{folder} has no weights ({' or '.join(_WEIGHT_FILES)}); copy them there, or write "
            "the folder with model.save_pretrained(folder)"
        )
    if not trusted:
        raise SourceError(
            f"the weights in {folder} are pickled, and loading a pickle can run any code that its "
            "author put in; save them as safetensors with model.save_pretrained(folder); or, if "
            "you trust the files, allow them with --trust-pickle"
        )
    return False
