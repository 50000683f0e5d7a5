"""Recipes as rows of numbers, so that models can tell which are alike."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hamerspace.recipe import Recipe, Scalar
from hamerspace.space import Space

Floats = npt.NDArray[np.float64]

_INACTIVE = -1.0
_SCALED = 0.5


class Encoder:
    """Turns the recipes of a space into rows.

    A column is a parameter that there is a choice of. The parameters of several backends that share
    their last word, such as ``quantization``, have one more column in common: what dynamic int8
    does in one runtime says something of what it does in another. A parameter that is not active
    holds -1; numbers lie between 0 and 1, in the order of their values; other values are counted.

    Args:
        space: Whose recipes are encoded.
    """

    def __init__(self, space: Space) -> None:
        asked = [choice for choice in space.choices if choice.asked]
        self._defaults = {c.name: c.parameter.default for c in asked if c.parameter.optional}
        by_word: dict[str, list[str]] = {}
        for choice in asked:
            by_word.setdefault(choice.name.rpartition(".")[2], []).append(choice.name)
        groups: list[tuple[str, ...]] = [(choice.name,) for choice in asked]
        groups += [tuple(names) for names in by_word.values() if len(names) > 1]
        values = {c.name: (c.low, c.high) if c.continuous else c.values for c in asked}
        self._columns = [
            (names, _Scale([value for name in names for value in values[name]])) for names in groups
        ]

    @property
    def numeric(self) -> npt.NDArray[np.bool_]:
        """Of each column, whether its values have an order."""
        return np.array([scale.numeric for _, scale in self._columns], dtype=bool)

    def encode(self, recipes: Sequence[Recipe]) -> Floats:
        """Return ``[recipes, columns]``."""
        rows = [
            [self._cell(recipe.parameters, *column) for column in self._columns]
            for recipe in recipes
        ]
        return np.array(rows, dtype=np.float64).reshape(len(recipes), len(self._columns))

    def _cell(
        self, parameters: Mapping[str, Scalar], names: Sequence[str], scale: "_Scale"
    ) -> float:
        for name in names:
            value = parameters.get(name, self._defaults.get(name))
            if value is not None:
                return scale(value)
        return _INACTIVE


class _Scale:
    """Positions of the values of one column."""

    def __init__(self, values: Sequence[Scalar]) -> None:
        distinct = list(dict.fromkeys(values))
        numbers = [v for v in distinct if isinstance(v, int | float) and not isinstance(v, bool)]
        self.numeric = len(numbers) == len(distinct) and len(distinct) > 2
        self._low = min(numbers, default=0.0)
        self._width = (max(numbers, default=1.0) - self._low) or 1.0
        self._codes = {value: float(code) for code, value in enumerate(distinct)}

    def __call__(self, value: Scalar) -> float:
        if self.numeric:
            return (float(value) - self._low) / self._width
        return self._codes.get(value, float(len(self._codes)))


def similarities(a: Floats, b: Floats, numeric: npt.NDArray[np.bool_]) -> Floats:
    """How alike rows are in each column, between 0 and 1: ``[columns, rows of a, rows of b]``.

    Equal values are 1; ordered ones fall off exponentially with their distance; others are 0, and so
    is a value beside none.
    """
    left, right = a.T[:, :, None], b.T[:, None, :]
    same = (left == right).astype(np.float64)
    both = (left >= 0) & (right >= 0)
    near = np.exp(-np.abs(left - right) / _SCALED) * both
    return np.where(numeric[:, None, None] & both, near, same)
