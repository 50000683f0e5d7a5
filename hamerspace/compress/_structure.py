"""Which layers of a module may lose channels, read from the autograd graph of one run."""

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn

# Products of two activations: q with k, and their softmax with v.
_ATTENTION_NODES = ("ScaledDotProduct", "BmmBackward", "BaddbmmBackward")
_NORMS = (
    nn.modules.batchnorm._BatchNorm,  # noqa: SLF001 - the common base of all batch norms
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.PReLU,
)


def output_layers(module: nn.Module, outputs: tuple[Tensor, ...]) -> set[nn.Module]:
    """The layers whose own outputs are the model's outputs, so that they must keep their width.

    Norms and activations between such a layer and the output are looked through.

    Args:
        module: The module; its floating-point parameters require gradients.
        outputs: What it returned, with their graph.
    """
    return _nearest_layers(module, _roots(outputs))


def attention_layers(module: nn.Module, outputs: tuple[Tensor, ...]) -> set[nn.Module]:
    """The projections to query, key and value; heads fix their width.

    Arguments as for :func:`output_layers`.
    """
    found: set[nn.Module] = {m for m in module.modules() if isinstance(m, nn.MultiheadAttention)}
    for node in _walk(_roots(outputs), lambda _: True):
        if node.name().startswith(_ATTENTION_NODES):
            found |= _nearest_layers(module, _before(node))
    return found


def _roots(outputs: tuple[Tensor, ...]) -> list[Any]:
    return [t.grad_fn for t in outputs if t.grad_fn is not None]


def _before(node: Any) -> list[Any]:
    return [child for child, _ in node.next_functions if child is not None]


def _nearest_layers(module: nn.Module, roots: list[Any]) -> set[nn.Module]:
    owners = {id(p): m for m in module.modules() for p in m.parameters(recurse=False)}
    found: set[nn.Module] = set()

    def go_on(node: Any) -> bool:
        layers = {owners[i] for i in _own_parameters(node) if i in owners}
        wide = {m for m in layers if not isinstance(m, _NORMS)}
        found.update(wide)
        return not wide

    for _ in _walk(roots, go_on):
        pass
    return found


def _walk(roots: list[Any], go_on: Callable[[Any], bool]) -> Iterator[Any]:
    """Yield the nodes behind ``roots``, not passing those where ``go_on`` is false."""
    seen: set[Any] = set()
    pending = list(roots)
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        yield node
        if go_on(node):
            pending.extend(_before(node))


def _own_parameters(node: Any) -> Iterator[int]:
    """Ids of the parameters that a node takes, itself or transposed."""
    for child in _before(node):
        if hasattr(child, "variable"):
            yield id(child.variable)
        elif child.name().startswith(("TBackward", "TransposeBackward", "PermuteBackward")):
            yield from (id(n.variable) for n in _before(child) if hasattr(n, "variable"))
