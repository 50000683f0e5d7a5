"""How a model of one format becomes one of another, in as few steps as there are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hamerspace.tasks.conversions import CONVERSIONS, Conversion
from hamerspace.tasks.model import SourceInfo

_Steps = tuple[tuple[Conversion, str | None], ...]
"""Conversions, each with why it cannot be done, if so."""


@dataclass(frozen=True)
class Route:
    """The conversions to do, in order; none where the model is of a wanted format already."""

    steps: tuple[Conversion, ...]


@dataclass(frozen=True)
class NoRoute:
    """Why there is no route, in one line for people."""

    reason: str


def find_route(origin: str, targets: Sequence[str], source: SourceInfo) -> Route | NoRoute:
    """The shortest route from a format to one of several.

    Args:
        origin: Format of the model at hand.
        targets: Formats that will do, the best first: it wins among routes of equal length.
        source: The inspected source model, which a conversion may refuse.
    """
    found = [
        (sum(why is not None for _, why in steps), len(steps), targets.index(end), steps)
        for end, steps in _routes((origin,), source)
        if end in targets
    ]
    if not found:
        return NoRoute(f"there is no conversion from {origin} to {' or '.join(targets)}")
    obstacles, *_, steps = min(found, key=lambda route: route[:3])
    if obstacles:
        return NoRoute(next(why for _, why in steps if why is not None))
    return Route(tuple(step for step, _ in steps))


def _routes(path: tuple[str, ...], source: SourceInfo) -> Iterator[tuple[str, _Steps]]:
    """Where every chain of conversions leads that passes no format twice, and its steps."""
    yield path[-1], ()
    for name in CONVERSIONS:
        start, _, after = name.partition("->")
        if start == path[-1] and after not in path:
            step = CONVERSIONS.load(name)()
            first = step, _obstacle(step, source)
            for end, rest in _routes((*path, after), source):
                yield end, (first, *rest)


def _obstacle(step: Conversion, source: SourceInfo) -> str | None:
    """Why a step cannot be done, in one line."""
    refusal = step.refuses(source)
    if refusal is not None:
        return f"no conversion from {step.origin} to {step.target}: {refusal}"
    hint = step.hint()
    if hint is not None:
        return f"the conversion from {step.origin} to {step.target} needs: {hint}"
    return None
