"""Which build stages of a recipe the store holds already."""

from collections.abc import Container, Sequence

from hamerspace.backends.base import FLOAT_LAYERS
from hamerspace.build.ranking import read_layers
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
        failed: Keys of the stages that failed, as they come to be known.
    """

    def __init__(
        self, task: Task, store: Store, seed: int, host: HostOf, failed: Container[str] = ()
    ) -> None:
        self._task = task
        self._store = store
        self._seed = seed
        self._host = host
        self._failed = failed
        self._planned: dict[str, tuple[Stage, ...]] = {}
        self._built: set[str] = set()
        self._ranked: dict[str, int] = {}

    def missing(self, recipe: Recipe) -> Sequence[str]:
        """Labels of the stages whose results are not in the store."""
        return [stage.label for stage in self._of(recipe) if not self._has(stage.key)]

    def known_to_fail(self, recipe: Recipe) -> bool:
        """Whether a stage failed before, or more layers are to stay in float than were ranked."""
        stages = self._of(recipe)
        if any(stage.key in self._failed for stage in stages):
            return True
        ranking = next((stage.key for stage in stages if stage.kind == "sensitivity"), None)
        if ranking is None or not self._has(ranking):
            return False
        if ranking not in self._ranked:
            try:
                self._ranked[ranking] = len(read_layers(self._store.path(ranking)))
            except FileNotFoundError:
                return False
        return int(stages[-1].parameters[FLOAT_LAYERS]) >= self._ranked[ranking]

    def _of(self, recipe: Recipe) -> tuple[Stage, ...]:
        if recipe.id not in self._planned:
            self._planned[recipe.id] = self._plan(recipe)
        return self._planned[recipe.id]

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
