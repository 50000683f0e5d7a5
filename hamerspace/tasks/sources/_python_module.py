"""What sources share whose model is a ``torch.nn.Module`` made by Python code."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode

from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo
from hamerspace.tasks.sources._torch import (
    Argument,
    TorchModel,
    count,
    inspect_module,
    state_of,
)
from hamerspace.tasks.sources.base import SourceSpec
from hamerspace.tasks.sources.op_families import torch_families

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
            TorchModel(
                label=label,
                module=module,
                arguments=_arguments(module),
                weights=state_of(module),
                parameter_count=count(list(module.parameters())),
                families=(),
                metadata=metadata,
            ),
            spec,
            example,
            folder,
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
