"""How a model of one format becomes one of another, in as few steps as there are."""

import heapq
import itertools
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
    steps = _best(origin, targets, source)
    if steps is None:
        return NoRoute(f"there is no conversion from {origin} to {' or '.join(targets)}")
    reason = next((r for step in steps if (r := _obstacle(step, source)) is not None), None)
    return Route(steps) if reason is None else NoRoute(reason)


def _best(origin: str, targets: Sequence[str], source: SourceInfo) -> tuple[Conversion, ...] | None:
    """The route with the fewest obstacles, and of these the shortest (Dijkstra)."""
    ticket = itertools.count()  # routes of equal cost go in the order in which they were found
    waiting = [(0, 0, next(ticket), origin, tuple[Conversion, ...]())]
    routes: dict[str, tuple[tuple[int, int], tuple[Conversion, ...]]] = {}
    while waiting:
        obstacles, length, _, here, route = heapq.heappop(waiting)
        if here in routes:
            continue
        routes[here] = (obstacles, length), route
        for name in CONVERSIONS:
            start, _, end = name.partition("->")
            if start == here and end not in routes:
                step = CONVERSIONS.load(name)()
                more = obstacles + (_obstacle(step, source) is not None)
                heapq.heappush(waiting, (more, length + 1, next(ticket), end, (*route, step)))
    reached = [routes[target] for target in targets if target in routes]
    return min(reached, key=lambda entry: entry[0])[1] if reached else None


def _obstacle(step: Conversion, source: SourceInfo) -> str | None:
    """Why a step cannot be done, in one line."""
    refusal = step.refuses(source)
    if refusal is not None:
        return f"no conversion from {step.origin} to {step.target}: {refusal}"
    hint = step.hint()
    if hint is not None:
        return f"the conversion from {step.origin} to {step.target} needs: {hint}"
    return None
