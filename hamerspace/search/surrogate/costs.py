"""What trying a recipe is expected to take, given what is built already."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol

from hamerspace.compress import TECHNIQUES
from hamerspace.outcome.record import Record
from hamerspace.recipe import Recipe

_OTHERWISE_S = 2.0
_MEASURING_S = 2.0


class Stages(Protocol):
    """Knows how recipes are built."""

    def missing(self, recipe: Recipe) -> Sequence[str]:
        """Labels of the build stages whose results are not at hand."""
        ...

    def known_to_fail(self, recipe: Recipe) -> bool:
        """Whether what was built for others tells that ``recipe`` cannot be built."""
        ...


def expected_seconds(
    recipes: Iterable[Recipe], records: Iterable[Record], stages: Stages
) -> list[float]:
    """Wall seconds that building and measuring each recipe is expected to take.

    Stages of one label, such as ``recover``, take about as long whatever the recipe; a stage that
    was never seen counts as one guess at what it takes.

    Args:
        recipes: What may be tried.
        records: All trials.
        stages: Knows how recipes are built.
    """
    building, measuring = defaultdict[str, list[float]](list), list[float]()
    for record in records:
        for label, seconds in record.evaluation.build_seconds.items():
            building[label].append(seconds)
        if record.measurement.seconds:
            measuring.append(sum(record.measurement.seconds.values()))
    measuring_s = _mean(measuring, _MEASURING_S)

    def stage_s(label: str) -> float:
        prior = TECHNIQUES.load(label).typical_s if label in TECHNIQUES else _OTHERWISE_S
        return _mean(building[label], prior)

    return [sum(map(stage_s, stages.missing(recipe))) + measuring_s for recipe in recipes]


def _mean(values: Sequence[float], prior: float) -> float:
    """The mean with one guess among the values."""
    return (sum(values) + prior) / (len(values) + 1)
