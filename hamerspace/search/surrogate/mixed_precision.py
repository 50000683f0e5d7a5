"""Layers kept in float, where all in low precision is fast and loses too much.

A few layers often lose what a scheme loses, and the others gain what it gains. Which layers are
the most sensitive, a backend ranks; how many of them to keep is found here by bisection, as fewer
are faster and more lose less.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from hamerspace.backends.base import FLOAT_LAYERS
from hamerspace.outcome.record import Record
from hamerspace.recipe import Recipe
from hamerspace.search.confirm import cost
from hamerspace.search.goal import Goal
from hamerspace.search.surrogate.costs import Stages
from hamerspace.space.space import Space

_DROP = "max_accuracy_drop"


@dataclass(frozen=True)
class MixedPrecision:
    """Proposes how many layers to keep in float.

    Attributes:
        space: What is searched.
        goal: What is improved and kept.
        stages: Knows how recipes are built.
    """

    space: Space
    goal: Goal
    stages: Stages

    def propose(self, records: Mapping[int, Record]) -> Recipe | None:
        """The next count to try, of the scheme that would be best if it lost nothing.

        ``None`` where no first trial lost too much that would be better than the best which keeps
        the limits, or where the counts of those that did are settled.
        """
        known = {record.recipe.id: record for record in records.values()}
        promised = [(self._lossless(r), r.recipe) for r in known.values() if _only_loses(r)]
        for promise, recipe in sorted(promised, key=itemgetter(0)):
            found = _middle(self._counts(recipe), known)
            if found is not None:
                return found if promise < min(self._bound(known.values()), 0.0) else None
        return None

    def _bound(self, records: Iterable[Record]) -> float:
        """The cost of the best that keeps the limits; without one that of the source model."""
        found = (cost(r.measurement, self.goal) for r in records if r.feasible)
        return min(found, default=0.0)

    def _lossless(self, record: Record) -> float:
        return cost(replace(record.measurement, quality=None), self.goal)

    def _counts(self, recipe: Recipe) -> Sequence[Recipe]:
        """The recipe with more and more layers in float."""
        name = f"{recipe.backend}.{FLOAT_LAYERS}"
        counts = next((c.values for c in self.space.choices if c.name == name), ())
        more = [
            self.space.complete({**recipe.parameters, name: count}) for count in counts if count
        ]
        return [r for r in more if r is not None and not self.stages.known_to_fail(r)]


def _only_loses(record: Record) -> bool:
    """Whether a first trial that was timed loses too much and misses no other limit."""
    missed = [name for name, by in record.violations.items() if by > 0]
    return (
        record.origin != "sampled" and record.measurement.latency is not None and missed == [_DROP]
    )


def _middle(counts: Sequence[Recipe], known: Mapping[str, Record]) -> Recipe | None:
    """The one in the middle of those that may be the least to keep the limits."""
    low, high = 0, len(counts)
    for index, recipe in enumerate(counts):
        if recipe.id in known:
            if known[recipe.id].violations.get(_DROP, 0.0) > 0:
                low = index + 1
            else:  # it keeps them, or misses one that more layers would miss by more
                high = min(high, index)
    return counts[(low + high) // 2] if low < high else None
