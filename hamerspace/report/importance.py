"""How much each choice of the space decided of what the trials came to.

A random forest learns each figure from the choices. A choice's importance is what the forest's
prediction of a trial that it has not seen loses once that choice is swapped with another trial's:
Breiman 2001, *Random Forests*, Machine Learning 45, section 10, over all pairs of trials as in
Fisher, Rudin and Dominici 2019, *All Models are Wrong, but Many are Useful*, JMLR 20, section 3.
Half of that loss over the variance is the choice's total effect of Jansen 1999, *Analysis of
variance designs for model output*, Computer Physics Communications 117: a share of the variance,
interactions included. Shares may therefore add up to more than one.

Spaces are conditional, and most of their choices exist in some trials only. Optuna's fANOVA looks
at none of those. Here a choice is swapped between the trials that have it, and the choices that
depend on it move along: shuffling ``backend`` moves the whole of its settings, so no recipe arises
that could not be built.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamerspace.outcome.trial import Trial
from hamerspace.quantities import BY_NAME
from hamerspace.recipe import Scalar
from hamerspace.report.run_data import RunData

FEASIBLE = "feasible"
"""Target that is 1 where a trial keeps all limits, else 0."""

LEAST_RECIPES = 16
LEAST_EXPLAINED = 0.3
_LEAST_OF_A_KIND = 3
_LEAST_SHARE = 0.01
_TREES = 64
_MOST_ROWS = 200
_MOST_SETTINGS = 16


@dataclass(frozen=True)
class Importance:
    """What the choices tell of one figure.

    Attributes:
        target: A key of :data:`~hamerspace.quantities.FIGURES`, or :data:`FEASIBLE`.
            Times and sizes count by their logarithm, drops by their inverse hyperbolic sine.
        recipes: Different recipes that it was learnt from.
        explained: Share of the variance that the forest predicts of trials that it has not seen.
        shares: Choice to its share of the variance, the largest first; empty where there are too
            few recipes or too little is explained.
    """

    target: str
    recipes: int
    explained: float = 0.0
    shares: Mapping[str, float] = field(default_factory=dict)


def importances(run: RunData) -> tuple[Importance, ...]:
    """Judge the choices by every objective, and by whether all limits are kept."""
    found = [_of_target(run, BY_NAME[objective].compared.key) for objective in run.objectives]
    return (*found, _of_target(run, FEASIBLE)) if run.constraints else tuple(found)


def _of_target(run: RunData, target: str) -> Importance:
    first = {trial.recipe_id: trial for trial in reversed(run.trials)}
    rows = [
        (trial.choices, value)
        for trial in reversed(first.values())
        if (value := _value(trial, target)) is not None
    ]
    enough = _LEAST_OF_A_KIND if target == FEASIBLE else 1
    values = [value for _, value in rows]
    rare = min(values.count(min(values)), values.count(max(values))) if values else 0
    if len(rows) < LEAST_RECIPES or rare < enough or min(values) == max(values):
        return Importance(target, len(rows))
    return _learn(target, rows, run.depends_on)


def _value(trial: Trial, target: str) -> float | None:
    if target == FEASIBLE:
        return float(trial.feasible)
    value = trial.values.get(target)
    if value is None or not math.isfinite(value):
        return None
    if target == "drop_points":
        return math.asinh(value)
    return math.log(value) if value > 0 else None


def _learn(
    target: str,
    rows: Sequence[tuple[Mapping[str, Scalar], float]],
    depends_on: Mapping[str, Sequence[str]],
) -> Importance:
    choices = [row for row, _ in rows]
    y = np.array([value for _, value in rows])
    x, columns_of = _table(choices)
    if not columns_of:
        return Importance(target, len(rows))
    forest = _Forest(x, y)
    explained = forest.explained()
    if explained < LEAST_EXPLAINED:
        return Importance(target, len(rows), explained)
    shares = {}
    for name in columns_of:
        moved = [name, *_dependents(name, columns_of, depends_on)]
        columns = sorted(column for one in moved for column in columns_of[one])
        carriers = np.array([i for i, row in enumerate(choices) if name in row])
        share = min(forest.loss(carriers, columns) / (2 * float(y.var())), 1.0)
        if share >= _LEAST_SHARE:
            shares[name] = share
    ranked = dict(sorted(shares.items(), key=lambda entry: -entry[1]))
    return Importance(target, len(rows), explained, ranked)


def _dependents(
    name: str, names: Iterable[str], depends_on: Mapping[str, Sequence[str]]
) -> list[str]:
    """Those of ``names`` that exist only by some value of ``name``, directly or not."""
    found = {name}
    while True:
        more = {n for n in names if found & set(depends_on.get(n, ()))} - found
        if not more:
            return sorted(found - {name})
        found |= more


def _table(
    rows: Sequence[Mapping[str, Scalar]],
) -> tuple[NDArray[np.float32], dict[str, tuple[int, ...]]]:
    """Choices as numbers, ``[rows, columns]``, and the columns of each choice.

    A column for a number, one a value for words; absent ones stand apart.
    """
    made: list[list[float]] = []
    columns = {}
    for name in sorted({name for row in rows for name in row}):
        values = [row.get(name) for row in rows]
        if len(set(map(repr, values))) > 1:
            new = _encoded(values)
            columns[name] = tuple(range(len(made), len(made) + len(new)))
            made += new
    x = np.array(made, np.float32).reshape(len(made), len(rows)).T
    return np.ascontiguousarray(x), columns


def _encoded(values: Sequence[Scalar | None]) -> list[list[float]]:
    known = [value for value in values if value is not None]
    numbers = [v for v in known if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) == len(known):
        absent = min(numbers) - 1.0
        return [[absent if value is None else float(value) for value in values]]
    return [[float(value == one) for value in values] for one in sorted(set(known), key=str)]


class _Forest:
    """A forest and, for each tree, the rows that it has not seen."""

    def __init__(self, x: NDArray[np.float32], y: NDArray[np.float64]) -> None:
        from sklearn.ensemble import RandomForestRegressor

        self._x, self._y = x, y
        self._forest = RandomForestRegressor(_TREES, random_state=0).fit(x, y)
        self._unseen = np.ones((_TREES, len(y)), bool)
        for tree, sample in enumerate(self._forest.estimators_samples_):
            self._unseen[tree, sample] = False
        self._votes = self._unseen.sum(axis=0)
        self._errors = np.square(self._predict(x, np.arange(len(y))) - y)

    def explained(self) -> float:
        """Share of the variance that is predicted of unseen rows; at most 1, and 0 for none."""
        known = self._votes > 0
        return max(0.0, 1.0 - float(self._errors[known].mean() / self._y[known].var()))

    def loss(self, carriers: NDArray[np.intp], columns: Sequence[int]) -> float:
        """Mean squared error, over all rows, that swapping columns between carriers adds."""
        rng = np.random.default_rng(0)
        carriers = carriers[self._votes[carriers] > 0]
        if len(carriers) < 2:
            return 0.0
        settings, own, counts = np.unique(
            self._x[carriers][:, columns], axis=0, return_inverse=True, return_counts=True
        )
        tried = _some(rng, len(settings), _MOST_SETTINGS)
        rows = _some(rng, len(carriers), _MOST_ROWS)
        weights = np.tile(counts[tried].astype(float), (len(rows), 1))
        weights -= own.reshape(-1)[rows][:, None] == tried  # nobody swaps with itself
        swapped = np.repeat(self._x[carriers[rows]], len(tried), axis=0)
        swapped[:, columns] = np.tile(settings[tried], (len(rows), 1))
        found = self._predict(swapped, np.repeat(carriers[rows], len(tried)))
        errors = np.square(found.reshape(len(rows), -1) - self._y[carriers[rows]][:, None])
        total = weights.sum(axis=1)
        known = total > 0
        after = (errors * weights)[known].sum(axis=1) / total[known]
        added = after - self._errors[carriers[rows]][known]
        share_of_rows = len(carriers) / len(self._y)
        return float(added.mean() * share_of_rows) if known.any() else 0.0

    def _predict(self, x: Any, rows: Any) -> Any:
        """Mean of the trees that have not seen the row that each line of ``x`` was made of."""
        unseen = self._unseen[:, rows]
        each = np.stack([t.predict(x, check_input=False) for t in self._forest.estimators_])
        return (each * unseen).sum(axis=0) / np.maximum(unseen.sum(axis=0), 1)


def _some(rng: np.random.Generator, count: int, most: int) -> NDArray[np.intp]:
    return np.arange(count) if count <= most else np.sort(rng.choice(count, most, replace=False))
