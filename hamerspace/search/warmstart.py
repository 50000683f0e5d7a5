"""The first trials are not random: baselines and defaults, then what was found or is known good."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hamerspace.backends import BACKENDS
from hamerspace.constraints import Constraints, violation
from hamerspace.recipe import KnownRecipe, Recipe
from hamerspace.space.space import Space
from hamerspace.tasks.model import SourceInfo


@dataclass(frozen=True)
class FirstTrial:
    """A recipe to try before any sampling, and why.

    Attributes:
        recipe: What to try.
        origin: ``baseline``, ``default``, ``history`` or ``known``.
        default_of: The tool whose own default it is, where it is one.
        expected: Its expected effect, where it is known.
        learned_from: The earlier study that found it, where one did.
    """

    recipe: Recipe
    origin: str
    default_of: str = ""
    expected: KnownRecipe | None = None
    learned_from: str = ""


ORIGINS = ("baseline", "default", "history", "known")
"""Of first trials, in the order in which they are tried."""

MOST_RECALLED = 6
"""Recipes of earlier studies that a search begins with."""


def first_trials(
    space: Space,
    source: SourceInfo,
    constraints: Constraints,
    recalled: Sequence[FirstTrial] = (),
) -> tuple[FirstTrial, ...]:
    """Each backend's fp32 baseline, the tools' defaults, what was found before, what is known.

    Recipes that the space does not hold are left out. The known are ranked by the expected product
    of latency and size ratios; those expected to lose more than is allowed come last.

    Args:
        space: What is searched.
        source: The inspected model.
        constraints: The limits.
        recalled: What earlier studies found, the most promising first. At most
            :data:`MOST_RECALLED` are taken, after baselines and defaults: whatever history says,
            a search gets past these first.
    """
    baselines: list[FirstTrial] = []
    defaults: list[FirstTrial] = []
    known: list[tuple[tuple[bool, float], FirstTrial]] = []
    for name in space.backends:
        recipes: Sequence[KnownRecipe] = BACKENDS.load(name).known_recipes(source)
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
    surely = {first.recipe.id for first in (*baselines, *defaults)}
    new = [first for first in recalled if first.recipe.id not in surely][:MOST_RECALLED]
    ordered = [*baselines, *defaults, *new, *(entry for _, entry in known)]
    by_id = {first.recipe.id: first for first in reversed(ordered)}
    return tuple(first for first in ordered if by_id[first.recipe.id] is first)


FORESEEN = ("max_size_mb", "max_accuracy_drop")
"""Limits that can be held against an expectation; the source's latency is not known yet."""


def expected_misses(
    size_mb: float, drop_points: float, limits: Mapping[str, float]
) -> dict[str, float]:
    """Each limit that an expected size or drop misses, with the expected value in its unit."""
    foreseen = dict(zip(FORESEEN, (size_mb, drop_points), strict=True))
    return {n: v for n, v in foreseen.items() if n in limits and violation(v, limits[n]) > 0}


def apart(first: Sequence[FirstTrial], seed: int) -> tuple[FirstTrial, ...]:
    """The same, those of one origin in an order of the seed's own.

    So processes that search with the same trials do not all begin with the same recipe.
    """
    order = random.Random(seed)  # noqa: S311 - not for secrets
    drawn = [(ORIGINS.index(entry.origin), order.random(), entry) for entry in first]
    return tuple(entry for _, _, entry in sorted(drawn, key=lambda triple: triple[:2]))


def _rank(candidate: KnownRecipe, constraints: Constraints) -> tuple[bool, float]:
    limit = constraints.max_accuracy_drop
    too_lossy = limit is not None and candidate.drop_points > limit
    return too_lossy, candidate.latency_ratio * candidate.size_ratio
