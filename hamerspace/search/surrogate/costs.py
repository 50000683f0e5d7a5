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


class Costs:
    """Predicts the seconds of a trial from those of earlier ones, stage by stage.

    Stages of one label, such as ``recover``, take about as long whatever the recipe; a stage that
    was never seen counts as one guess at what it takes.

    Args:
        stages: Knows how recipes are built.
    """

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._sums: dict[str, list[float]] = defaultdict(list)
        self._measuring: list[float] = []

    def learn(self, records: Iterable[Record]) -> None:
        """Take in the seconds of all trials."""
        self._sums.clear()
        self._measuring.clear()
        for record in records:
            for label, seconds in record.evaluation.build_seconds.items():
                self._sums[label].append(seconds)
            if record.measurement.seconds:
                self._measuring.append(sum(record.measurement.seconds.values()))

    def seconds(self, recipe: Recipe) -> float:
        """Expected wall seconds of building and measuring ``recipe``."""
        building_s = sum(self._stage_s(label) for label in self._stages.missing(recipe))
        return building_s + _mean(self._measuring, _MEASURING_S)

    def _stage_s(self, label: str) -> float:
        prior = TECHNIQUES.load(label).typical_s if label in TECHNIQUES else _OTHERWISE_S
        return _mean(self._sums[label], prior)


def _mean(values: Sequence[float], prior: float) -> float:
    """The mean with one guess among the values."""
    return (sum(values) + prior) / (len(values) + 1)
