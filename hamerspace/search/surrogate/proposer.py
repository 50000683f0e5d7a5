"""Propose the recipe that is expected to add most to the front for the time that it takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from hamerspace.recipe import Recipe
from hamerspace.search.goal import Goal
from hamerspace.search.record import BUILDS, Record
from hamerspace.search.surrogate.costs import Costs, Stages
from hamerspace.search.surrogate.features import Encoder, Floats, similarities
from hamerspace.search.surrogate.figures import Figure, figures_of
from hamerspace.search.surrogate.gain import Gain
from hamerspace.search.surrogate.pool import Pool
from hamerspace.search.surrogate.process import Process
from hamerspace.space import Space


@dataclass(frozen=True)
class Settings:
    """How things are weighed; the defaults did best on the tables of measurements.

    Attributes:
        cost_exponent: Gains are divided by the expected seconds to this power.
        tune_growth: Hyperparameters are chosen anew when the trials have grown by this factor.
    """

    cost_exponent: float = 0.5
    tune_growth: float = 1.15


class Surrogate:
    """Learns what recipes come to, and proposes one that was not tried.

    Args:
        space: What is searched.
        goal: What is improved and kept.
        stages: Knows how recipes are built.
        seed: Of the draws.
        settings: How things are weighed.
    """

    def __init__(
        self,
        space: Space,
        goal: Goal,
        stages: Stages,
        seed: int,
        settings: Settings | None = None,
    ) -> None:
        self._settings = settings or Settings()
        self._encoder = Encoder(space)
        self._pool = Pool(space, self._encoder, seed)
        self._costs = Costs(stages)
        figures = figures_of(goal)
        self._objectives = [figure for figure in figures if figure.objective]
        self._limits = [figure for figure in figures if not figure.objective]
        self._processes = {figure.name: Process(self._encoder.numeric) for figure in figures}
        self._gain = Gain(len(self._objectives))
        self._tuned_at = 0.0

    def propose(self, records: Mapping[int, Record]) -> Recipe | None:
        """The recipe to try next; ``None`` where every one was tried."""
        known = [record for record in records.values() if record.reused_from is None]
        front = _Front(known, self._objectives)
        recipes, rows = self._pool.untried({r.recipe.id for r in known}, front.recipes)
        if not recipes or not known:
            return recipes[0] if recipes else None
        scores = self._gains(known, rows, front.points)
        exponent = self._settings.cost_exponent
        if exponent:
            self._costs.learn(known)
            seconds = np.array([self._costs.seconds(recipe) for recipe in recipes])
            scores = scores / seconds**exponent
        return recipes[int(np.argmax(scores))]

    def _gains(self, records: Sequence[Record], rows: Floats, front: Floats) -> Floats:
        """Share of the box that each row is expected to add."""
        seen = self._encoder.encode([record.recipe for record in records])
        tune = len(records) >= self._tuned_at * self._settings.tune_growth
        if tune:
            self._tuned_at = len(records)
        chance = self._buildable(seen, records, rows)
        for figure in self._limits:
            mean, deviation = self._predict(figure, seen, records, rows, tune=tune)
            chance *= special.ndtr((figure.high - mean) / deviation)
        means, deviations, low = [], [], []
        for figure in self._objectives:
            mean, deviation = self._predict(figure, seen, records, rows, tune=tune)
            means.append(mean)
            deviations.append(deviation)
            best = float(np.min(mean - 2 * deviation))
            low.append(figure.low if figure.low is not None else min(best, figure.high - 1.0))
        high = np.array([figure.high for figure in self._objectives])
        expected = self._gain.expected(
            np.stack(means, axis=1), np.stack(deviations, axis=1), front, np.array(low), high
        )
        return chance * expected

    def _predict(
        self,
        figure: Figure,
        seen: Floats,
        records: Sequence[Record],
        rows: Floats,
        *,
        tune: bool,
    ) -> tuple[Floats, Floats]:
        found = [figure.observe(record.measurement) for record in records]
        known = [index for index, value in enumerate(found) if value is not None]
        if len(known) < 2:  # noqa: PLR2004 - one value has no spread
            return np.zeros(len(rows)), np.ones(len(rows))
        values, noise = np.array([value for value in found if value is not None]).T
        process = self._processes[figure.name]
        process.fit(seen[known], values, noise, tune=tune)
        return process.predict(rows)

    def _buildable(self, seen: Floats, records: Sequence[Record], rows: Floats) -> Floats:
        """Chance that recipes can be used at all, from those that are like them."""
        failed = np.array([record.violations[BUILDS] > 0 for record in records], dtype=np.float64)
        if not failed.any():
            return np.ones(len(rows))
        alike = similarities(seen, rows, self._encoder.numeric)
        weights = np.prod((1.0 + 2.0 * alike) / 3.0, axis=0)
        found: Floats = 1.0 - (weights.T @ failed) / (weights.sum(axis=0) + 0.1)
        return found


class _Front:
    """The feasible records that no other dominates, by what was observed."""

    def __init__(self, records: Sequence[Record], objectives: Sequence[Figure]) -> None:
        recipes, points = [], []
        for record in records:
            if record.feasible:
                values = [figure.observe(record.measurement) for figure in objectives]
                recipes.append(record.recipe)
                points.append([np.inf if value is None else value[0] for value in values])
        found = np.array(points, dtype=np.float64).reshape(len(points), len(objectives))
        no_worse = (found[:, None, :] <= found[None, :, :]).all(axis=2)
        better = (found[:, None, :] < found[None, :, :]).any(axis=2)
        kept = np.flatnonzero(~(no_worse & better).any(axis=0))
        self.points: Floats = found[kept]
        self.recipes: list[Recipe] = [recipes[index] for index in kept]
