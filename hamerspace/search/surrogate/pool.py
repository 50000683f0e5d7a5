"""The recipes that a proposal chooses among: all of a small space, or a part of a large one."""

import random
from collections.abc import Collection, Iterable, Iterator

from hamerspace.recipe import Recipe
from hamerspace.search.surrogate.features import Encoder, Floats
from hamerspace.space import Space

_LISTED = 2048
_DRAWN = 512


class Pool:
    """Untried recipes, and the rows that stand for them.

    A space of at most 2,048 recipes is looked at whole. Of a larger one, or one with continuous
    ranges, each proposal sees recipes drawn evenly choice by choice and every neighbour of those
    that are on the front: one choice away, the others as they are.

    Args:
        space: What is searched.
        encoder: Of the space.
        seed: Of the draws.
    """

    def __init__(self, space: Space, encoder: Encoder, seed: int) -> None:
        self._space = space
        self._encoder = encoder
        self._random = random.Random(seed)  # noqa: S311 - not for secrets
        self._listed = _few(space.recipes(), _LISTED) if space.count() is not None else None
        if self._listed is not None:
            self._random.shuffle(self._listed)
            self._rows = encoder.encode(self._listed)

    def untried(
        self, tried: Collection[str], front: Iterable[Recipe]
    ) -> tuple[list[Recipe], Floats]:
        """Recipes that are not among the ids ``tried``, and their rows ``[recipes, columns]``."""
        if self._listed is not None:
            left = [i for i, recipe in enumerate(self._listed) if recipe.id not in tried]
            return [self._listed[i] for i in left], self._rows[left]
        found = {recipe.id: recipe for recipe in self._drawn(front) if recipe.id not in tried}
        recipes = list(found.values())
        return recipes, self._encoder.encode(recipes)

    def _drawn(self, front: Iterable[Recipe]) -> Iterator[Recipe]:
        for recipe in front:
            yield from self._space.neighbours(recipe)
        for _ in range(_DRAWN):
            yield self._space.draw(self._random)


def _few(recipes: Iterator[Recipe], most: int) -> list[Recipe] | None:
    """All of them, or ``None`` where there are more than ``most``."""
    found: list[Recipe] = []
    for recipe in recipes:
        if len(found) == most:
            return None
        found.append(recipe)
    return found
