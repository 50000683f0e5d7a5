"""The first trials are not random: each backend's baseline, then recipes known to be good."""

from collections.abc import Sequence
from dataclasses import dataclass

from hamerspace.backends import BACKENDS
from hamerspace.constraints import Constraints
from hamerspace.recipe import KnownRecipe, Recipe
from hamerspace.space import Space
from hamerspace.tasks.model import SourceInfo


@dataclass(frozen=True)
class FirstTrial:
    """A recipe to try before any sampling, and why.

    Attributes:
        recipe: What to try.
        origin: ``baseline``, ``default`` or ``known``.
        default_of: The tool whose own default it is, where it is one.
        expected: Its expected effect, where it is known.
    """

    recipe: Recipe
    origin: str
    default_of: str = ""
    expected: KnownRecipe | None = None


def first_trials(
    space: Space, source: SourceInfo, constraints: Constraints
) -> tuple[FirstTrial, ...]:
    """The fp32 baseline of each backend, the tools' defaults, then what is known to be good.

    Recipes that the space does not hold are left out. The known are ranked by the expected product
    of latency and size ratios; those expected to lose more than is allowed come last.
    """
    baselines: list[FirstTrial] = []
    defaults: list[FirstTrial] = []
    known: list[tuple[tuple[bool, float], FirstTrial]] = []
    backend_choice = next(choice for choice in space.choices if choice.name == "backend")
    for name in backend_choice.values:
        recipes: Sequence[KnownRecipe] = BACKENDS.load(str(name)).known_recipes(source)
        has_baseline = False
        for position, candidate in enumerate(recipes):
            recipe = space.complete({"backend": name, **candidate.parameters})
            if recipe is None:
                continue
            # Where the space leaves the very first out, the next that loses nothing stands in.
            plain = candidate.size_ratio == 1.0 and candidate.drop_points == 0.0
            if not has_baseline and (position == 0 or plain):
                baselines.append(FirstTrial(recipe, "baseline", expected=candidate))
                has_baseline = True
            elif candidate.default_of:
                default = FirstTrial(recipe, "default", candidate.default_of, candidate)
                defaults.append(default)
            else:
                entry = FirstTrial(recipe, "known", expected=candidate)
                known.append((_rank(candidate, constraints), entry))
    known.sort(key=lambda pair: pair[0])
    ordered = [*baselines, *defaults, *(entry for _, entry in known)]
    by_id = {first.recipe.id: first for first in reversed(ordered)}
    return tuple(first for first in ordered if by_id[first.recipe.id] is first)


def _rank(candidate: KnownRecipe, constraints: Constraints) -> tuple[bool, float]:
    limit = constraints.max_accuracy_drop
    too_lossy = limit is not None and candidate.drop_points > limit
    return too_lossy, candidate.latency_ratio * candidate.size_ratio
