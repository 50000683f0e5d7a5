"""Recipes as indicators of their values, and how alike two recipes are."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hamerspace.recipe import Recipe, Scalar
from hamerspace.space.choice import Choice
from hamerspace.space.space import Space

Floats = npt.NDArray[np.float64]

_REACH = 0.5
_OFF = 0.5
_BINS = 9


@dataclass(frozen=True)
class Column:
    """A parameter that there is a choice of, or what several of them have in common.

    Attributes:
        names: Of the parameters.
        levels: The values; numbers in their order. A level more stands for not being active.
        ordered: Whether the values are numbers, so that near ones are alike.
        log: Whether numbers count by their logarithm.
        default: Where it is not in a recipe but stands at this value; ``None`` where that means
            that it is not active.
    """

    names: tuple[str, ...]
    levels: tuple[Scalar, ...]
    ordered: bool
    default: Scalar | None = None
    log: bool = False

    def level(self, parameters: Mapping[str, Scalar]) -> int:
        """Index of the level that a recipe has; of a continuous range the nearest."""
        for name in self.names:
            if name in parameters:
                return self._index(parameters[name])
        return len(self.levels) if self.default is None else self._index(self.default)

    def _index(self, value: Scalar) -> int:
        found = self._indices.get(value)
        if found is not None:
            return found
        place = self._place(value)
        return min(range(len(self.levels)), key=lambda i: abs(self._place(self.levels[i]) - place))

    def _place(self, value: Scalar) -> float:
        """Where a number lies on the column's scale; 0 has a place on a logarithmic one too."""
        if not self.log:
            return float(value)
        least = min(float(level) for level in self.levels if float(level) > 0)
        return math.log(max(float(value), least / 2))

    @cached_property
    def _indices(self) -> dict[Scalar, int]:
        return {level: index for index, level in enumerate(self.levels)}

    def similarity(self) -> Floats:
        """How alike levels are, between 0 and 1: ``[levels + 1, levels + 1]``.

        A level is like itself. Numbers are alike by ``exp(-2 distance)``, with all of them within
        a distance of 1: where none is below 0, that of ``log(1 + number)``, as a step counts for
        more at the small end. What 0 turns off is half as like the others. Levels that are no
        numbers have nothing in common.
        """
        count = len(self.levels)
        found = np.eye(count + 1)
        if self.ordered:
            off = np.array([level == 0 for level in self.levels])
            numbers = np.array([self._place(level) for level in self.levels])
            if not self.log and numbers.min() >= 0:
                numbers = np.log1p(numbers)
            scaled = (numbers - numbers.min()) / (np.ptp(numbers) or 1.0)
            found[:count, :count] = np.exp(-np.abs(scaled[:, None] - scaled[None, :]) / _REACH)
            found[:count, :count] *= np.where(off[:, None] == off, 1.0, _OFF)
        return found


class Encoder:
    """Turns the recipes of a space into rows of indicators, one for each level of each column.

    The parameters of several backends that share their last word, such as ``quantization``, have a
    column in common beside their own: what dynamic int8 does in one runtime says something of what
    it does in another.

    Args:
        space: Whose recipes are encoded.
    """

    def __init__(self, space: Space) -> None:
        asked = [choice for choice in space.choices if choice.asked]
        by_word: dict[str, list[str]] = {}
        values: dict[str, tuple[Scalar, ...]] = {}
        columns = []
        for choice in asked:
            by_word.setdefault(choice.name.rpartition(".")[2], []).append(choice.name)
            values[choice.name] = _bins(choice) if choice.continuous else choice.values
            default = choice.parameter.default if choice.parameter.optional else None
            columns.append(_column((choice.name,), values[choice.name], default, log=choice.log))
        columns.extend(
            _column(tuple(names), [value for name in names for value in values[name]], None)
            for names in by_word.values()
            if len(names) > 1
        )
        self.columns = tuple(columns)
        sizes = [len(column.levels) + 1 for column in columns]
        starts = np.cumsum([0, *sizes])
        self.slices = [slice(start, stop) for start, stop in pairwise(starts)]
        self._width = int(starts[-1])
        self._rows: dict[str, Floats] = {}

    def encode(self, recipes: Sequence[Recipe]) -> Floats:
        """Return ``[recipes, levels of all columns]``, zeros and ones."""
        places = list(zip(self.columns, self.slices, strict=True))
        for recipe in recipes:
            if recipe.id not in self._rows:
                row = self._rows[recipe.id] = np.zeros(self._width)
                parameters = recipe.parameters
                row[[place.start + column.level(parameters) for column, place in places]] = 1.0
        return np.array([self._rows[r.id] for r in recipes]).reshape(len(recipes), self._width)


def _bins(choice: Choice) -> tuple[Scalar, ...]:
    spaced = np.geomspace if choice.log else np.linspace
    return tuple(spaced(choice.low, choice.high, _BINS).tolist())


def _column(
    names: tuple[str, ...],
    values: Sequence[Scalar],
    default: Scalar | None,
    *,
    log: bool = False,
) -> Column:
    distinct = list(dict.fromkeys(values if default is None else [*values, default]))
    numbers = [v for v in distinct if isinstance(v, int | float) and not isinstance(v, bool)]
    ordered = len(numbers) == len(distinct) > 2
    levels = tuple(sorted(numbers) if ordered else distinct)
    log = log and ordered and min(numbers) >= 0
    return Column(names, levels, ordered, default, log)
