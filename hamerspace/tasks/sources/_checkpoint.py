"""Find a module's weights in what training scripts save: wrapped, under a key, beside others."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hamerspace.errors import SourceError
from hamerspace.tasks.torch_module import misfits

_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""Names of a level of their own by which torch's wrappers hold the module."""
# What the older weight_norm calls the parts of a weight, and what the newer calls them.
_RENAMED = {
    "weight_g": "parametrizations.weight.original0",
    "weight_v": "parametrizations.weight.original1",
}
_DEEPEST = 3
_USUAL = ("under ['state_dict']", "under ['model_state_dict']")
"""Where training scripts save the weights as such, whatever averages of them lie beside."""


def state_in(
    checkpoint: Any, module: nn.Module, path: Path
) -> tuple[Mapping[str, Tensor], str | None]:
    """The state dict for ``module`` in a checkpoint, and a note where it had to be looked for.

    Names are taken as they are where they fit. Elsewhere nested dictionaries, and what has one
    prefix in common, are tried without the names of wrappers.

    Args:
        checkpoint: What the file holds, which should be a dictionary.
        module: What the weights are for.
        path: Names the file in messages.

    Raises:
        SourceError: Nothing in it fits, or several sets of weights that differ do.
    """
    found = dict(_state_dicts(checkpoint))
    if not found:
        raise SourceError(
            f"{path} holds a {type(checkpoint).__name__} that is no state dict (tensor name to "
            "tensor)"
        )
    if "" in found and not misfits(module, found[""]):
        return found[""], None
    own = {_plain(name): name for name in module.state_dict()}
    fitting: dict[str, Mapping[str, Tensor]] = {}
    problems: list[tuple[int, str, list[str]]] = []
    for place, state in found.items():
        for prefix in _prefixes(state, next(iter(own), "")):
            inner = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            named = {own.get(_plain(name), name): tensor for name, tensor in inner.items()}
            wrong = misfits(module, named)
            if not wrong:
                fitting[_where(place, prefix, inner)] = named
            known = sum(name in own.values() for name in named)
            problems.append((known, _where(place, prefix, inner), wrong))
    if not fitting:
        _, where, wrong = max(problems, key=lambda entry: entry[0])
        raise SourceError(
            f"{path} does not fit the module ({'; '.join(wrong)}){f', {where}' if where else ''}; "
            "save the weights of the module that the builder makes: "
            "torch.save(model.state_dict(), path)"
        )
    (where, state), *others = fitting.items()
    differing = [place for place, other in others if not _same(state, other)]
    usual = [place for place in fitting if place.partition(",")[0] in _USUAL]
    if differing and len(usual) == 1:
        (where,), others_there = usual, ", ".join(p for p in fitting if p not in usual)
        told = f"{where}; others that fit and differ are not: {others_there}"
        return fitting[where], f"The weights are read from {path.name}, {told}."
    if differing:
        raise SourceError(
            f"{path} holds several sets of weights that fit the module and differ: {where}; "
            f"{'; '.join(differing)}. Save the one that you mean as a file of its own, with "
            "torch.save(state_dict, path)"
        )
    return state, f"The weights are read from {path.name}, {where}."


def _state_dicts(value: Any, place: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Place and tensors of every dictionary of named tensors, the outermost first."""
    if not isinstance(value, Mapping) or depth > _DEEPEST:
        return
    tensors = {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, Tensor)}
    if tensors:
        yield place, tensors
    for key, inner in value.items():
        yield from _state_dicts(inner, f"{place}[{key!r}]", depth + 1)


def _prefixes(state: Mapping[str, Tensor], wanted: str) -> list[str]:
    """The shortest first: what stands before a weight of the module, and nothing."""
    found = {""}
    for name in state:
        starts = [i + 1 for i, letter in enumerate(name) if letter == "."]
        found |= {name[:i] for i in starts if _plain(name[i:]) == wanted}
    return sorted(found, key=len)


def _plain(name: str) -> str:
    """A name without levels of wrappers, in today's words."""
    levels = [level for level in name.split(".") if level not in _WRAPPERS]
    return ".".join([*levels[:-1], _RENAMED.get(levels[-1], levels[-1])]) if levels else name


def _where(place: str, prefix: str, state: Mapping[str, Tensor]) -> str:
    levels = {level for name in state for level in name.split(".")[:-1] if level in _WRAPPERS}
    stripped = [f"'{text}'" for text in (prefix, *(f"{w}." for w in sorted(levels))) if text]
    parts = [f"under {place}"] if place else []
    if stripped:
        parts.append(f"without {' and '.join(stripped)} in their names")
    return ", ".join(parts)


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(t, other[n]) for n, t in one.items())
