"""One model for each figure of a recipe, and what they foresee of recipes that were not tried."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from hamerspace.outcome.front import dominates
from hamerspace.outcome.record import BUILDS, Record
from hamerspace.recipe import Recipe
from hamerspace.search.goal import Goal
from hamerspace.search.surrogate.features import Encoder, Floats
from hamerspace.search.surrogate.figures import Figure, figures_of
from hamerspace.search.surrogate.process import Process

_MOST_LEARNT = 500
_FLIP = 1e-3
_DOUBT = 0.05

Observed = tuple[float, float] | None
"""A figure and the variance of its observation; ``None`` where it was not measured."""


@dataclass(frozen=True)
class Forecast:
    """What is expected of recipes; an axis for each objective, less is better.

    Attributes:
        means: ``[recipes, axes]``.
        deviations: The same shape.
        chance: ``[recipes]``, that a recipe can be built and keeps the limits on other figures.
        low: ``[axes]``, the best to hope for.
        high: ``[axes]``, beyond which nothing counts.
    """

    means: Floats
    deviations: Floats
    chance: Floats
    low: Floats
    high: Floats

    def of(self, rows: npt.NDArray[np.intp]) -> "Forecast":
        """The part of some recipes."""
        return Forecast(
            self.means[rows], self.deviations[rows], self.chance[rows], self.low, self.high
        )


class Models:
    """Learns from trials.

    Args:
        encoder: Of the space.
        goal: What is improved and kept.
        tune_growth: Hyperparameters are chosen anew when the trials have grown by this factor.
    """

    def __init__(self, encoder: Encoder, goal: Goal, tune_growth: float) -> None:
        figures = figures_of(goal)
        self._encoder = encoder
        self._objectives = [figure for figure in figures if figure.objective]
        self._limits = [figure for figure in figures if not figure.objective]
        self._processes = {figure.name: Process(encoder) for figure in figures}
        self._failing = Process(encoder)
        self._tune_growth = tune_growth
        self._tune_at = 0.0
        self._figures: dict[str, dict[str, Observed]] = {}
        self._judged: set[str] = set()
        self._front: list[tuple[Recipe, tuple[float, ...]]] = []

    def learn(self, records: Sequence[Record]) -> None:
        """Take in all trials; of very many, an even part."""
        step = -(-len(records) // _MOST_LEARNT)
        learnt = records[:: step or 1]
        self._seen = self._encoder.encode([record.recipe for record in learnt])
        tune = len(records) >= self._tune_at
        if tune:
            self._tune_at = len(records) * self._tune_growth
        self._known = {}
        failed = np.array([r.violations[BUILDS] > 0 for r in learnt], dtype=np.float64)
        self._any_failed = bool(failed.any())
        if self._any_failed:
            self._failing.fit(self._seen, failed, np.full(len(failed), _FLIP), tune=tune)
        for figure in (*self._objectives, *self._limits):
            found = [self._observed(record)[figure.name] for record in learnt]
            known = [index for index, value in enumerate(found) if value is not None]
            self._known[figure.name] = len(known)
            if len(known) > 1:
                values, noise = np.array([value for value in found if value is not None]).T
                self._processes[figure.name].fit(self._seen[known], values, noise, tune=tune)

    def forecast(self, rows: Floats) -> Forecast:
        """What is expected of the recipes of some rows ``[recipes, levels]``."""
        chance = self._buildable(rows)
        for figure in self._limits:
            mean, deviation = self._predict(figure, rows)
            chance = chance * special.ndtr((figure.high - mean) / deviation)
        predicted = [self._predict(figure, rows) for figure in self._objectives]
        means, deviations = (np.stack(values, axis=1) for values in zip(*predicted, strict=True))
        best = (means - 2 * deviations).min(axis=0)
        low = [
            figure.low if figure.low is not None else min(reached, figure.high - 1.0)
            for figure, reached in zip(self._objectives, best, strict=True)
        ]
        high = [figure.high for figure in self._objectives]
        return Forecast(means, deviations, chance, np.array(low), np.array(high))

    def front(self, records: Sequence[Record]) -> tuple[list[Recipe], Floats]:
        """The feasible recipes that no other dominates, and their figures ``[members, axes]``."""
        for record in records:
            if record.recipe.id not in self._judged:
                self._judged.add(record.recipe.id)
                if record.feasible:
                    self._join(record)
        points = np.array([point for _, point in self._front], dtype=np.float64)
        return [recipe for recipe, _ in self._front], points.reshape(-1, len(self._objectives))

    def _join(self, record: Record) -> None:
        """Add a feasible recipe to the front, where none of it dominates the recipe."""
        observed = self._observed(record)
        values = [observed[figure.name] for figure in self._objectives]
        point = tuple(math.inf if value is None else value[0] for value in values)
        if not any(dominates(other, point) for _, other in self._front):
            kept = [pair for pair in self._front if not dominates(point, pair[1])]
            self._front = [*kept, (record.recipe, point)]

    def _observed(self, record: Record) -> dict[str, Observed]:
        """Every figure of a record, which does not change."""
        name = record.recipe.id
        if name not in self._figures:
            figures = (*self._objectives, *self._limits)
            self._figures[name] = {f.name: f.observe(record.measurement) for f in figures}
        return self._figures[name]

    def _predict(self, figure: Figure, rows: Floats) -> tuple[Floats, Floats]:
        if self._known[figure.name] < 2:
            return np.zeros(len(rows)), np.ones(len(rows))
        return self._processes[figure.name].predict(rows)

    def _buildable(self, rows: Floats) -> Floats:
        """Chance that recipes can be used at all: that a regression of failures is below a half."""
        if not self._any_failed:
            return np.ones(len(rows))
        mean, deviation = self._failing.predict(rows)
        found: Floats = special.ndtr((0.5 - mean) / np.maximum(deviation, _DOUBT))
        return found
