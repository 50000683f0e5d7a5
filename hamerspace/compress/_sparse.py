"""Zero the weights of least magnitude, and keep them zero."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune

from hamerspace.errors import BuildError


def sparsify_module(module: nn.Module, ratio: float) -> int:
    """Zero the weights of least magnitude of all convolutions and linear layers, in place.

    Args:
        module: The module.
        ratio: Share of these layers' weights that goes, in (0, 1); ranked across layers.

    Returns:
        The number of weights that are zero now.

    Raises:
        BuildError: It has no such layer.
    """
    layers = _layers(module)
    if not layers:
        raise BuildError("sparsify.ratio: the model has no convolution or linear layer of its own")
    prune.global_unstructured(
        [(layer, "weight") for layer in layers],
        pruning_method=prune.L1Unstructured,
        amount=ratio,
    )
    for layer in layers:
        prune.remove(layer, "weight")  # type: ignore[no-untyped-call]
    return sum(int(torch.eq(_weight(layer), 0).sum()) for layer in layers)


def zero_keeper(module: nn.Module) -> Callable[[], None]:
    """A function that sets the weights that are zero now to zero again."""
    held: list[tuple[Tensor, Tensor]] = []
    for layer in _layers(module):
        zeros = torch.eq(_weight(layer), 0)
        if zeros.any():
            held.append((_weight(layer), zeros))

    def keep() -> None:
        with torch.no_grad():
            for weight, zeros in held:
                weight.masked_fill_(zeros, 0.0)

    return keep


def _layers(module: nn.Module) -> list[nn.Module]:
    """Convolutions and linear layers, but for those whose weight is shared or computed."""
    owners: dict[int, int] = {}
    for child in module.modules():
        for parameter in child.parameters(recurse=False):
            owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    return [
        child
        for child in module.modules()
        if isinstance(child, nn.modules.conv._ConvNd | nn.Linear)  # noqa: SLF001 - the common base
        and not parametrize.is_parametrized(child)
        and isinstance(child._parameters.get("weight"), nn.Parameter)  # noqa: SLF001 - not a computed one
        and owners[id(child.weight)] == 1
    ]


def _weight(layer: nn.Module) -> Tensor:
    return layer.get_parameter("weight")
