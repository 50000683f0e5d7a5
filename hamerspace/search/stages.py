"""Which build stages of a recipe the store holds already."""

from collections.abc import Sequence

from hamerspace.build.stages import HostOf, Stage, plan_build
from hamerspace.build.store import Store
from hamerspace.errors import HamerspaceError
from hamerspace.recipe import Recipe
from hamerspace.tasks.task import Task


class StoredStages:
    """The stages of a study's recipes.

    Args:
        task: The prepared task.
        store: Where results of stages are kept.
        seed: Of every random draw in a stage.
        host: The device that recipes are built on and for.
    """

    def __init__(self, task: Task, store: Store, seed: int, host: HostOf) -> None:
        self._task = task
        self._store = store
        self._seed = seed
        self._host = host
        self._planned: dict[str, tuple[Stage, ...]] = {}
        self._built: set[str] = set()

    def missing(self, recipe: Recipe) -> Sequence[str]:
        """Labels of the stages whose results are not in the store."""
        if recipe.id not in self._planned:
            self._planned[recipe.id] = self._plan(recipe)
        return [stage.label for stage in self._planned[recipe.id] if not self._has(stage.key)]

    def _plan(self, recipe: Recipe) -> tuple[Stage, ...]:
        try:
            return plan_build(self._task, recipe, self._seed, self._host).stages
        except HamerspaceError:
            return ()  # it cannot be built, which costs nothing

    def _has(self, key: str) -> bool:
        """Whether a result is there; what was seen once is not looked for again."""
        if key not in self._built and self._store.has(key):
            self._built.add(key)
        return key in self._built
