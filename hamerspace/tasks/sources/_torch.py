"""What the three torch formats share: from a loaded module to an artifact and what was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hamerspace.errors import SourceError
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo, by_weights
from hamerspace.tasks.sources.base import SourceSpec, check_names, named, sample, sound
from hamerspace.tasks.sources.inspection import (
    LoadedModel,
    Weights,
    inspect_model,
    refuse_unsound,
)
from hamerspace.tasks.torch_module import NamedModule


@dataclass(frozen=True)
class Argument:
    """An argument of a module's forward, and whether it may be left out or passed by position."""

    name: str
    required: bool = True
    positional: bool = True


@dataclass(frozen=True)
class TorchModel:
    """A loaded module with what its format tells about it.

    Attributes:
        label: Names the model in messages.
        module: The module, in inference mode.
        arguments: Of its forward; ``None`` where it takes any number of tensors.
        weights: Name and tensor of every weight and buffer.
        parameter_count: Number of scalar weights.
        families: Operator families.
        fixed_rows: The batch size it declares, where it declares one.
        metadata: Of the artifact.
    """

    label: str
    module: nn.Module
    arguments: tuple[Argument, ...] | None
    weights: Mapping[str, Tensor]
    parameter_count: int
    families: tuple[str, ...]
    metadata: Mapping[str, Any]
    fixed_rows: int | None = None


def inspect_module(
    format_name: str, model: TorchModel, spec: SourceSpec, example: Arrays | None, folder: Path
) -> tuple[ModelArtifact, SourceInfo]:
    """Check the weights, run the module once and save the manifest into ``folder``."""
    check_finite(model.weights, model.label)
    arrays, keywords = bind(model, spec, example)
    distinct = {t.data_ptr(): t for t in model.weights.values()}
    loaded = LoadedModel(
        label=model.label,
        run=NamedModule(model.module, tuple(arrays), keywords=keywords).run,
        weights=Weights(
            model.parameter_count,
            sum(t.numel() * t.element_size() for t in distinct.values()),
            by_weights((_dtype(t), t.numel()) for t in distinct.values() if t.ndim),
            sum(t.ndim > 1 and t.is_floating_point() for t in distinct.values()),
        ),
        metadata={**model.metadata, "keywords": list(keywords)},
        families=model.families,
        rows=model.fixed_rows,
        details={"batch_norm": any(_keeps_statistics(m) for m in model.module.modules())},
    )
    return inspect_model(format_name, loaded, spec, example, folder, arrays)


def _keeps_statistics(module: nn.Module) -> bool:
    batch_norm = isinstance(module, nn.modules.batchnorm._BatchNorm)  # noqa: SLF001 - the common base
    return batch_norm and bool(module.track_running_stats)


def bind(
    model: TorchModel, spec: SourceSpec, example: Arrays | None
) -> tuple[dict[str, Any], list[str | None]]:
    """Put the inputs into call order, and tell for each the keyword it needs, if any.

    Raises:
        DataError: Names do not fit the module's forward.
        SourceError: Neither data nor declared shapes tell the inputs.
    """
    given = example
    if given is None:
        if not spec.inputs:
            raise SourceError(
                f"{model.label} does not tell its input shapes; give data (--data), or a shape for "
                "each input (task.source.inputs, --input NAME=1x3x224x224)"
            )
        wanted = [a.name for a in model.arguments or () if a.required]
        given = sample(named(spec.inputs, wanted))
    if model.arguments is None:
        return dict(given), [None] * len(given)
    wanted = [a.name for a in model.arguments]
    check_names(list(given), wanted, [a.name for a in model.arguments if a.required])
    arrays: dict[str, Any] = {}
    keywords: list[str | None] = []
    by_position = True
    for argument in model.arguments:
        if argument.name not in given:
            by_position = False
            continue
        by_position = by_position and argument.positional
        arrays[argument.name] = given[argument.name]
        keywords.append(None if by_position else argument.name)
    return arrays, keywords


def check_finite(weights: Mapping[str, Tensor], label: str) -> None:
    """Raise a SourceError that names the first weights that hold NaN or infinity.

    What is no parameter may be filled with infinities, as masks are.
    """
    wrong = [name for name, t in weights.items() if t.is_floating_point() and not _sound(t)]
    refuse_unsound(wrong, label)


def _sound(tensor: Tensor) -> bool:
    if isinstance(tensor, nn.Parameter):
        return bool(torch.isfinite(tensor).all())
    return sound(tensor.detach().cpu().to(torch.float32).numpy())


def state_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, those that are not saved included."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def count(tensors: Sequence[Tensor]) -> int:
    return sum(t.numel() for t in tensors)


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
