"""The recipes that a proposal chooses among: all of a small space, or a part of a large one."""

import random
from collections.abc import Collection, Iterable, Iterator

from hamerspace.recipe import Recipe
from hamerspace.search.surrogate.features import Encoder, Floats
from hamerspace.space.space import Space

_LISTED = 2048
_DRAWN = 768
_DRAWN_ANEW = 24
_NEAR = 512


class Pool:
    """Untried recipes, and the rows that stand for them.

    A space of at most 2,048 recipes is looked at whole. Of a larger one, or one with continuous
    ranges, each proposal sees recipes that were drawn choice by choice, some of them anew, and the
    neighbours of those on the front: one choice away, the others as they are.

    Args:
        space: What is searched.
        encoder: Of the space.
        seed: Of the draws.
    """

    def __init__(self, space: Space, encoder: Encoder, seed: int) -> None:
        self._space = space
        self._encoder = encoder
        self._random = random.Random(seed)  # noqa: S311 - not for secrets
        count = space.count()
        self._whole = count is not None and count <= _LISTED
        self._recipes: dict[str, Recipe] = {}
        self._near: dict[str, list[Recipe]] = {}
        if self._whole:
            recipes = list(space.recipes())
            self._random.shuffle(recipes)
            self._recipes = {recipe.id: recipe for recipe in recipes}
        self._draw = _DRAWN

    def untried(
        self, tried: Collection[str], front: Iterable[Recipe]
    ) -> tuple[list[Recipe], Floats]:
        """Recipes that are not among the ids ``tried``, and their rows ``[recipes, levels]``."""
        found = self._recipes
        if not self._whole:
            self._draw_anew(tried)
            found = {**self._recipes, **{r.id: r for r in self._neighbours(front)}}
        left = [recipe for name, recipe in found.items() if name not in tried]
        return left, self._encoder.encode(left)

    def _draw_anew(self, tried: Collection[str]) -> None:
        """Replace the oldest draws; the first time, draw all."""
        for _ in range(self._draw):
            recipe = self._space.draw(self._random)
            if recipe.id not in tried:
                self._recipes[recipe.id] = recipe
        for name in list(self._recipes)[: max(len(self._recipes) - _DRAWN, 0)]:
            del self._recipes[name]
        self._draw = _DRAWN_ANEW

    def _neighbours(self, front: Iterable[Recipe]) -> Iterator[Recipe]:
        """At most so many, those of the latest members first."""
        given = 0
        for recipe in reversed(list(front)):
            if recipe.id not in self._near:
                self._near[recipe.id] = list(self._space.neighbours(recipe))
            yield from self._near[recipe.id]
            given += len(self._near[recipe.id])
            if given >= _NEAR:
                return
