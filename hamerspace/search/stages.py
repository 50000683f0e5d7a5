"""Which build stages of a recipe the store holds already."""

from collections.abc import Sequence
from contextlib import suppress

from hamerspace.backends.base import FLOAT_LAYERS
from hamerspace.build.builder import Builder
from hamerspace.build.ranking import read_layers
from hamerspace.build.stages import Stage
from hamerspace.errors import HamerspaceError
from hamerspace.recipe import Recipe


class StoredStages:
    """The stages of a study's recipes.

    Args:
        builder: Of the study; what it knows to fail is asked for each time.
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._planned: dict[str, tuple[Stage, ...]] = {}
        self._built: set[str] = set()
        self._ranked: dict[str, int] = {}

    def missing(self, recipe: Recipe) -> Sequence[str]:
        """Labels of the stages whose results are not in the store."""
        return [stage.label for stage in self._of(recipe) if not self._has(stage.key)]

    def known_to_fail(self, recipe: Recipe) -> bool:
        """Whether a stage failed before, or more layers are to stay in float than were ranked."""
        stages = self._of(recipe)
        if any(stage.key in self._builder.failed for stage in stages):
            return True
        ranking = next((stage.key for stage in stages if stage.kind == "sensitivity"), None)
        if ranking is None or not self._has(ranking):
            return False
        if ranking not in self._ranked:
            try:
                self._ranked[ranking] = len(read_layers(self._builder.store.path(ranking)))
            except FileNotFoundError:
                return False
        return int(stages[-1].parameters[FLOAT_LAYERS]) >= self._ranked[ranking]

    def _of(self, recipe: Recipe) -> tuple[Stage, ...]:
        if recipe.id not in self._planned:
            self._planned[recipe.id] = ()  # of what cannot be built, which costs nothing
            with suppress(HamerspaceError):
                self._planned[recipe.id] = self._builder.plan(recipe).stages
        return self._planned[recipe.id]

    def _has(self, key: str) -> bool:
        """Whether a result is there; what was seen once is not looked for again."""
        if key not in self._built and self._builder.store.has(key):
            self._built.add(key)
        return key in self._built
