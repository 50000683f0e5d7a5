"""What no other dominates."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from hamerspace.outcome.record import Record

Key = TypeVar("Key", bound=Hashable)


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether ``one`` is at least as good everywhere and better somewhere; less is better."""
    return all(a <= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


def non_dominated(points: Mapping[Key, Sequence[float]]) -> list[Key]:
    """Those of which no other point dominates the point; less is better."""
    distinct = {tuple(point) for point in points.values()}
    kept = {p for p in distinct if not any(dominates(q, p) for q in distinct)}
    return [key for key, point in points.items() if tuple(point) in kept]


def front(records: Mapping[int, Record], maximize: Mapping[str, bool]) -> list[int]:
    """Numbers of the feasible trials that no other feasible trial dominates, duplicates left out.

    Args:
        records: Trial number to record.
        maximize: Objective to whether more is better.
    """
    points: dict[int, tuple[float, ...]] = {}
    seen = set()
    for number, record in sorted(records.items()):
        if record.feasible and record.recipe.id not in seen:
            seen.add(record.recipe.id)
            points[number] = tuple(
                -record.values[name] if more else record.values[name]
                for name, more in maximize.items()
            )
    return non_dominated(points)
