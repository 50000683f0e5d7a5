"""What the three torch formats share: from a loaded module to an artifact and what was found."""

from collections.abc import Iterable, Mapping, Sequence
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


def inspect_module(
    format_name: str,
    module: nn.Module,
    spec: SourceSpec,
    example: Arrays | None,
    folder: Path,
    *,
    label: str,
    arguments: Sequence[Argument] | None,
    weights: Mapping[str, Tensor],
    parameters: Iterable[Tensor],
    metadata: Mapping[str, Any],
    families: tuple[str, ...] = (),
    fixed_rows: int | None = None,
) -> tuple[ModelArtifact, SourceInfo]:
    """Check the weights, run the module once and save the manifest into ``folder``.

    Args:
        format_name: Of the artifact.
        module: The module, in inference mode.
        spec: What the study file says.
        example: One batch of inputs by name.
        folder: Of the artifact.
        label: Names the model in messages.
        arguments: Of its forward; ``None`` where it takes any number of tensors.
        weights: Name and tensor of every weight and buffer.
        parameters: Those of them that count as parameters.
        metadata: Of the artifact.
        families: Operator families.
        fixed_rows: The batch size it declares, where it declares one.
    """
    # What is no parameter may be filled with infinities, as masks are.
    wrong = [name for name, t in weights.items() if t.is_floating_point() and not _sound(t)]
    refuse_unsound(wrong, label)
    arrays, keywords = _bind(arguments, label, spec, example)
    distinct = list({t.data_ptr(): t for t in weights.values()}.values())
    loaded = LoadedModel(
        label=label,
        run=NamedModule(module, tuple(arrays), keywords=keywords).run,
        weights=Weights(
            sum(t.numel() for t in parameters),
            sum(t.numel() * t.element_size() for t in distinct),
            by_weights(
                (str(t.dtype).removeprefix("torch."), t.numel()) for t in distinct if t.ndim
            ),
            sum(t.ndim > 1 and t.is_floating_point() for t in distinct),
        ),
        metadata={**metadata, "keywords": keywords},
        families=families,
        rows=fixed_rows,
        details={"batch_norm": any(map(_keeps_statistics, module.modules()))},
    )
    return inspect_model(format_name, loaded, spec, example, folder, arrays)


def _keeps_statistics(module: nn.Module) -> bool:
    batch_norm = isinstance(module, nn.modules.batchnorm._BatchNorm)  # noqa: SLF001 - the common base
    return batch_norm and bool(module.track_running_stats)


def _bind(
    arguments: Sequence[Argument] | None, label: str, spec: SourceSpec, example: Arrays | None
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
                f"{label} does not tell its input shapes; give data (--data), or a shape for "
                "each input (task.source.inputs, --input NAME=1x3x224x224)"
            )
        wanted = [a.name for a in arguments or () if a.required]
        given = sample(named(spec.inputs, wanted))
    if arguments is None:
        return dict(given), [None] * len(given)
    required = [a.name for a in arguments if a.required]
    check_names(list(given), [a.name for a in arguments], required)
    arrays: dict[str, Any] = {}
    keywords: list[str | None] = []
    by_position = True
    for argument in arguments:
        if argument.name not in given:
            by_position = False
            continue
        by_position = by_position and argument.positional
        arrays[argument.name] = given[argument.name]
        keywords.append(None if by_position else argument.name)
    return arrays, keywords


def _sound(tensor: Tensor) -> bool:
    if isinstance(tensor, nn.Parameter):
        return bool(torch.isfinite(tensor).all())
    return sound(tensor.detach().cpu().to(torch.float32).numpy())


def state_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, those that are not saved included."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}
