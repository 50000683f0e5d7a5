"""Remove whole channels of a module by group magnitude, and record what that changed."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from hamerspace.compress._structure import attention_layers, output_layers
from hamerspace.errors import BuildError
from hamerspace.recipe import Scalar
from hamerspace.tasks.torch_module import NamedModule

logger = logging.getLogger(__name__)

# A global ranking would else cut a group to nothing, and the model with it.
_MOST_OF_A_GROUP = 0.9


def prune_module(
    module: NamedModule,
    example: tuple[Tensor, ...],
    chosen: Mapping[str, Scalar],
    skipped: set[str],
) -> dict[str, dict[str, Any]]:
    """Prune ``module`` in place.

    Layers that depend on each other's channels form a group (Fang et al. 2023, "DepGraph"); of
    each group the channels of least group magnitude go. Output layers keep their width, and groups
    that touch an attention projection are left as they are, as heads fix their width.

    Args:
        module: Loaded for inference.
        example: Inputs in call order.
        chosen: The technique's parameters. Channels that stay are the nearest multiple of
            ``prune.round_to``, and at least as many. An importance that is ``local`` takes the
            ratio of every group; ``global`` ranks the channels of all groups together, so that
            some groups lose more than others.
        skipped: Names of layers whose group is left as it is.

    Returns:
        Changed attributes by module name, for :func:`hamerspace.tasks.torch_module.shrink`.

    Raises:
        GroupBreaksModelError: Without a group's channels the model fails or returns other shapes.
        BuildError: No group can lose a channel.
    """
    share, round_to = float(chosen["prune.ratio"]), int(chosen["prune.round_to"])
    inner = module.inner
    before = _attributes(inner)
    names = {m: name for name, m in inner.named_modules()}
    frozen_parameters = [p for p in inner.parameters() if not p.requires_grad]
    for parameter in frozen_parameters:
        parameter.requires_grad_(parameter.is_floating_point())
    with torch.enable_grad():
        outputs = module(*example)
        fixed = output_layers(inner, outputs)
        attention = attention_layers(inner, outputs)
        graph = _dependencies(module, example)
    shapes = [tuple(t.shape) for t in outputs]
    importance = tp.importance.GroupMagnitudeImportance(p=2)

    def eligible() -> Iterator[tuple[str, nn.Module, Any]]:
        for layer, group in _groups(inner, graph):
            if names[layer] not in skipped and not _touches(graph, group, fixed, attention):
                yield names[layer], layer, group

    ratios: dict[str, float] = {}
    if chosen["prune.importance"] == "global":
        ratios = _global_ratios({n: importance(g) for n, _, g in eligible()}, share)
    removed = 0
    for root, layer, group in eligible():
        ratio = ratios.get(root, share)
        least = _least(group, importance, _divisions(graph, group), ratio, round_to)
        if not least:
            continue
        smaller = graph.get_pruning_group(layer, group[0].dep.handler, least)
        if not graph.check_pruning_group(smaller):
            continue
        smaller.prune()
        removed += len(least)
        _check(module, example, shapes, root)
    if not removed:
        raise BuildError(
            f"no layer can lose channels at prune.ratio {share:g} and prune.round_to {round_to}; "
            "choose a higher ratio or a lower round_to"
        )
    after = _attributes(inner)
    logger.info("pruned %d channels", removed)
    return {
        name: {k: v for k, v in values.items() if before[name].get(k) != v}
        for name, values in after.items()
        if values != before[name]
    }


def _dependencies(module: NamedModule, example: tuple[Tensor, ...]) -> Any:
    try:
        return tp.DependencyGraph().build_dependency(
            module.inner,
            example_inputs=example,
            forward_fn=lambda _, inputs: module(*inputs),
            output_transform=None,
            verbose=False,
        )
    except Exception as error:  # it raises anything, such as over recurrence in two directions
        raise BuildError(
            f"torch-pruning cannot follow the channels of this model: {error!r}"
        ) from error


def _groups(inner: nn.Module, graph: Any) -> Iterator[tuple[nn.Module, Any]]:
    """Each group of layers that share channels, once, with the layer it starts from.

    Unlike the graph's own iteration it goes on where the indices of one group cannot be followed.
    """
    visited: set[nn.Module] = set()
    for layer in inner.modules():
        if not isinstance(layer, nn.modules.conv._ConvNd | nn.Linear) or layer in visited:  # noqa: SLF001 - the common base
            continue
        if layer not in graph.module2node:
            continue
        pruner = graph.get_pruner_of_module(layer)
        try:
            everything = list(range(pruner.get_out_channels(layer)))
            group = graph.get_pruning_group(layer, pruner.prune_out_channels, everything)
        except (IndexError, AttributeError, KeyError, TypeError, ValueError) as error:
            logger.info("the channels of %r cannot be followed: %r", layer, error)
            continue
        visited.update(
            dep.target.module for dep, _ in group if graph.is_out_channel_pruning_fn(dep.handler)
        )
        yield layer, group


class GroupBreaksModelError(BuildError):
    """The model does not work any more once a group lost channels."""

    def __init__(self, root: str, reason: str) -> None:
        super().__init__(f"pruning the group of '{root}' breaks the model: {reason}")
        self.root = root


def _check(
    module: NamedModule, example: tuple[Tensor, ...], shapes: Sequence[tuple[int, ...]], root: str
) -> None:
    try:
        with torch.inference_mode():
            outputs = module(*example)
    except Exception as error:
        raise GroupBreaksModelError(root, repr(error)) from error
    found = [tuple(t.shape) for t in outputs]
    if found != shapes:
        raise GroupBreaksModelError(root, f"its outputs become {found}, not {shapes}")


def _touches(graph: Any, group: Any, fixed: set[nn.Module], attention: set[nn.Module]) -> bool:
    """Whether a group would narrow an output layer, or touches attention or recurrence."""
    for dep, _ in group:
        target = dep.target.module
        narrows = graph.is_out_channel_pruning_fn(dep.handler)
        if target in attention or (narrows and target in fixed):
            return True
        if isinstance(target, nn.RNNBase | nn.MultiheadAttention):
            return True
    return False


def _global_ratios(scores: dict[str, Tensor | None], ratio: float) -> dict[str, float]:
    """The share that each group loses where the channels of all are ranked together.

    The scores of a group are relative to its mean, so that groups compare.
    """
    known = {root: values for root, values in scores.items() if values is not None}
    if not known:
        return {}
    everything = torch.cat([values.flatten() for values in known.values()])
    lost = int(ratio * len(everything))
    if lost == 0:
        return dict.fromkeys(known, 0.0)
    threshold = everything.kthvalue(lost).values
    return {
        root: min(_MOST_OF_A_GROUP, float((values <= threshold).float().mean()))
        for root, values in known.items()
    }


def _divisions(graph: Any, group: Any) -> int:
    """Number of equal parts that must lose the same channels: grouped convolutions and norms."""
    parts = 1
    for dep, _ in group:
        layer = dep.target.module
        pruner = graph.get_pruner_of_module(layer)
        if pruner is None or (
            isinstance(layer, nn.modules.conv._ConvNd) and layer.groups == layer.out_channels  # noqa: SLF001
        ):
            continue
        narrows = graph.is_out_channel_pruning_fn(dep.handler)
        count = pruner.get_out_channel_groups if narrows else pruner.get_in_channel_groups
        parts = max(parts, int(count(layer)))
    return parts


def _least(group: Any, importance: Any, parts: int, ratio: float, round_to: int) -> list[int]:
    """Indices of the channels of least importance, as many in each part."""
    scores = importance(group)
    if scores is None or len(scores) % parts:
        return []
    size = len(scores) // parts
    unit = max(1, round_to // parts)
    keep = max(unit, int((1 - ratio) * size / unit + 0.5) * unit)
    if keep >= size:
        return []
    per_part = scores.view(parts, size).mean(dim=0)
    least = torch.argsort(per_part, stable=True)[: size - keep].tolist()
    return sorted(index + part * size for part in range(parts) for index in least)


def _attributes(module: nn.Module) -> dict[str, dict[str, Any]]:
    """The integers, and tuples of integers, that modules keep beside their parameters."""
    return {
        name: {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in vars(child).items()
            if type(value) is int
            or (isinstance(value, tuple) and value and all(type(v) is int for v in value))
        }
        for name, child in module.named_modules()
    }
