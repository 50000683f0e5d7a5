"""Source models that are Python code: a builder with weights, or a trusted pickle."""

import inspect
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.overrides import TorchFunctionMode

from hamerspace.errors import SourceError
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo
from hamerspace.tasks.parametrised import fold
from hamerspace.tasks.sources._checkpoint import state_in
from hamerspace.tasks.sources._torch import Argument, inspect_module, state_of
from hamerspace.tasks.sources.base import SourceFormat, SourceSpec, checked_file
from hamerspace.tasks.sources.op_families import torch_families
from hamerspace.tasks.torch_module import WEIGHTS, load_weights, rebuild, write_weights

_PICKLE = "model.pt"
_MODULE_FUNCTIONS: dict[type[nn.Module], str] = {
    nn.modules.conv._ConvNd: "conv",  # noqa: SLF001 - the common base of all convolutions
    nn.Linear: "linear",
    nn.Bilinear: "linear",
    nn.MultiheadAttention: "multi_head_attention",
    nn.RNNBase: "lstm",
    nn.RNNCellBase: "lstm",
    nn.Embedding: "embedding",
    nn.EmbeddingBag: "embedding",
}


class PytorchSource(SourceFormat):
    """``torch.nn.Module`` made by the user's builder, or unpickled where the user trusts it.

    The artifact's metadata name the ``builder`` or the ``pickle`` file, the ``root`` folder of
    its code, and the ``weights``, always stored again as safetensors.
    """

    name = "pytorch"

    def open(
        self, spec: SourceSpec, example: Arrays | None, folder: Path
    ) -> tuple[ModelArtifact, SourceInfo]:
        note = None
        metadata: dict[str, Any] = {"root": str(spec.root.resolve()), "weights": WEIGHTS}
        if spec.builder is not None:
            metadata["builder"] = spec.builder
            module = rebuild(metadata, folder)
            label = f"the model of '{spec.builder}'"
            if spec.weights is not None:
                path = checked_file(spec.root / spec.weights, "task.source.weights")
                checkpoint = read_checkpoint(path, trust_pickle=spec.trust_pickle)
                state, note = state_in(checkpoint, module, path)
                load_weights(module, state, path)
                label += f" with {path.name}"
        else:
            path = spec.file
            _refuse_pickle(path, trusted=spec.trust_pickle)
            metadata["pickle"] = _PICKLE
            shutil.copyfile(path, folder / _PICKLE)
            module = rebuild(metadata, folder)
            label = str(path)
        fold(module.eval())
        write_weights(module, folder / WEIGHTS)
        artifact, info = inspect_python_module(module, label, metadata, spec, example, folder)
        if note is not None:
            info = replace(info, details={**info.details, "notes": [note]})
        return artifact, info


def read_checkpoint(path: Path, *, trust_pickle: bool) -> Any:
    """Read what .safetensors hold, or what ``torch.save`` wrote.

    A pickled module gives its state only where pickles are trusted.

    Raises:
        SourceError: The file is damaged.
    """
    with path.open("rb") as file:
        is_safetensors = file.read(9)[8:9] == b"{"
    if is_safetensors or path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise SourceError(
                f"{path} is a damaged safetensors file ({error}); save or copy it again"
            ) from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=not trust_pickle)
    except pickle.UnpicklingError as error:
        raise SourceError(
            f"{path} holds more than tensors, or is damaged: {str(error).splitlines()[0]} "
            "Save the weights with torch.save(model.state_dict(), path) or as safetensors; or, if "
            "you trust the file, allow it with --trust-pickle"
        ) from error
    except Exception as error:
        raise SourceError(
            f"{path} cannot be read as weights ({error!r}); save them with "
            "torch.save(model.state_dict(), path) or as safetensors"
        ) from error
    return state.state_dict() if isinstance(state, nn.Module) else state


def _refuse_pickle(path: Path, *, trusted: bool) -> None:
    """Tell apart, without running its code, a file of weights from a pickled module."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if trusted:
            return
        raise SourceError(
            f"{path} is a pickle, and loading a pickle can run any code that its author put in; "
            "give a 'builder' and a state dict, or a torch.export .pt2 file, instead; or, if you "
            "trust the file, allow it with --trust-pickle"
        ) from error
    except Exception as error:
        raise SourceError(
            f"{path} is damaged or no torch file ({error!r}); save or copy it again"
        ) from error
    raise SourceError(
        f"{path} holds a {type(state).__name__} of weights, not a model; name it under 'weights' "
        "and give a 'builder' (module:function that returns the torch.nn.Module) instead of 'path'"
    )


def inspect_python_module(
    module: nn.Module,
    label: str,
    metadata: Mapping[str, Any],
    spec: SourceSpec,
    example: Arrays | None,
    folder: Path,
) -> tuple[ModelArtifact, SourceInfo]:
    """Run a module once and save the manifest of a ``pytorch`` artifact into ``folder``.

    Args:
        module: In inference mode.
        label: Names the model in messages.
        metadata: Of the artifact; they tell how to make the module again.
        spec: What the study file says.
        example: One batch of inputs by name.
        folder: Of the artifact; the weights are there already.
    """
    with _FunctionNames() as functions:
        artifact, info = inspect_module(
            "pytorch",
            module,
            spec,
            example,
            folder,
            label=label,
            arguments=_arguments(module),
            weights=state_of(module),
            parameters=module.parameters(),
            metadata=metadata,
        )
    families = torch_families({*functions.names, *_module_functions(module)})
    return artifact, replace(info, op_families=families)


def _arguments(module: nn.Module) -> tuple[Argument, ...] | None:
    parameters = inspect.signature(module.forward).parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return tuple(
        Argument(p.name, p.default is p.empty, p.kind is not p.KEYWORD_ONLY)
        for p in parameters
        if p.kind is not p.VAR_KEYWORD
    )


def _module_functions(module: nn.Module) -> set[str]:
    """Function names that stand for module types whose fast paths hide what they call."""
    return {
        function
        for child in module.modules()
        for kind, function in _MODULE_FUNCTIONS.items()
        if isinstance(child, kind)
    }


class _FunctionNames(TorchFunctionMode):
    """Notes the names of the torch functions that are called within it."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        self.names.add(getattr(func, "__name__", ""))
        return func(*args, **(kwargs or {}))
