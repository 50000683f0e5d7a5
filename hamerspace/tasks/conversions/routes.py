"""How a model of one format becomes one of another, in as few steps as there are."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from hamerspace.tasks.conversions import CONVERSIONS, Conversion
from hamerspace.tasks.model import SourceInfo


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
    found = _shortest(origin, targets, source, usable_only=True)
    if found is not None:
        return Route(found)
    blocked = _shortest(origin, targets, source, usable_only=False)
    if blocked is None:
        return NoRoute(f"there is no conversion from {origin} to {' or '.join(targets)}")
    for step in blocked:
        refusal, hint = step.refuses(source), step.hint()
        if refusal is not None:
            return NoRoute(f"no conversion from {step.origin} to {step.target}: {refusal}")
        if hint is not None:
            return NoRoute(f"the conversion from {step.origin} to {step.target} needs: {hint}")
    raise AssertionError("a route is blocked by nothing")


def _shortest(
    origin: str, targets: Sequence[str], source: SourceInfo, *, usable_only: bool
) -> tuple[Conversion, ...] | None:
    """Breadth first, so that the first route to a format is the shortest."""
    routes: dict[str, tuple[Conversion, ...]] = {origin: ()}
    waiting = deque([origin])
    while waiting:
        here = waiting.popleft()
        for name in CONVERSIONS:
            start, _, end = name.partition("->")
            if start != here or end in routes:
                continue
            step = CONVERSIONS.load(name)()
            if usable_only and (step.hint() is not None or step.refuses(source) is not None):
                continue
            routes[end] = (*routes[here], step)
            waiting.append(end)
    reached = [routes[target] for target in targets if target in routes]
    return min(reached, key=len) if reached else None
