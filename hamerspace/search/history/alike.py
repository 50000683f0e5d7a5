"""Which recipes of earlier studies to try first: those that did well for a similar model."""

import math
from collections import defaultdict
from collections.abc import Sequence

from hamerspace.constraints import tradeoff
from hamerspace.quantities import Objective
from hamerspace.recipe import KnownRecipe, Recipe
from hamerspace.search.history.entry import Entry, Setting, Tried
from hamerspace.search.warmstart import FirstTrial, expected_misses
from hamerspace.space.space import Space

_LEAST_LIKENESS = 0.25
_DIFFERENT = 0.8
"""Factor for each lesser fact in which two studies differ."""


def likeness(one: Setting, other: Setting) -> float:
    """How alike two studies are: 1 where nothing differs, 0 where nothing carries over.

    It is 0 where hardware or machine differ, as another runtime is then the fastest. Else it is

        shared operator families / all operator families of both
          / (1 + |log10(parameters / the other's parameters)|)
          * 0.8 for each of format, GPU, threads, batch size, metric and objectives that differs
    """
    if (one.hardware, one.machine) != (other.hardware, other.machine):
        return 0.0
    families, others = set(one.op_families), set(other.op_families)
    shared = len(families & others) / len(families | others) if families | others else 1.0
    apart = abs(math.log10((one.parameters + 1) / (other.parameters + 1)))
    differ = sum(getattr(one, name) != getattr(other, name) for name in _LESSER)
    differ += set(one.objectives) != set(other.objectives)
    return shared / (1.0 + apart) * math.pow(_DIFFERENT, differ)


_LESSER = ("format", "gpu", "threads", "batch_size", "metric")


def recall(
    entries: Sequence[Entry], setting: Setting, space: Space, size_mb: float
) -> tuple[FirstTrial, ...]:
    """Recipes of studies that are alike, the most promising first.

    The recipes of each study are ordered by what is wanted now: those expected to keep the limits
    first, then by the cost that chooses the winner. A recipe's score is the sum of likeness over
    place, over the studies that hold it: reciprocal ranks (Cormack, Clarke and Buettcher 2009,
    SIGIR), weighted. Recipes that the space does not hold are left out, and those that were worse
    than the source model in all that is wanted.

    Args:
        entries: What is kept.
        setting: Of the study that is about to begin.
        space: What it searches.
        size_mb: Size of its source model.
    """
    scores: defaultdict[str, float] = defaultdict(float)
    found: dict[str, tuple[float, FirstTrial]] = {}
    for entry in entries:
        alike = likeness(setting, entry.setting)
        if alike < _LEAST_LIKENESS:
            continue
        able = [t for t in entry.recipes if min(_ratios(t, setting), default=0.0) < 1.0]
        fitting = [(tried, r) for tried in able if (r := fit(tried, space)) is not None]
        fitting.sort(key=lambda pair: _rank(pair[0], setting, size_mb))
        for place, (tried, recipe) in enumerate(fitting, start=1):
            share = alike / place
            scores[recipe.id] += share
            if recipe.id not in found or share > found[recipe.id][0]:
                known = KnownRecipe(**tried.model_dump(exclude={"winner"}))
                first = FirstTrial(recipe, "history", expected=known, learned_from=entry.name)
                found[recipe.id] = (share, first)
    ordered = sorted(found, key=lambda recipe_id: (-scores[recipe_id], recipe_id))
    return tuple(found[recipe_id][1] for recipe_id in ordered)


def fit(tried: Tried, space: Space) -> Recipe | None:
    """The recipe of ``space`` that does the same; ``None`` where it holds none."""
    recipe = space.complete(tried.parameters)
    if recipe is None:
        return None
    defaults = {choice.name: choice.parameter.default for choice in space.choices}
    added = recipe.parameters.keys() - tried.parameters.keys()
    return recipe if all(recipe[name] == defaults[name] for name in added) else None


def _rank(tried: Tried, setting: Setting, size_mb: float) -> tuple[bool, float]:
    limits = setting.limits
    misses = expected_misses(tried.size_ratio * size_mb, tried.drop_points, limits)
    drop = tried.drop_points if Objective.QUALITY in setting.objectives else 0.0
    return bool(misses), tradeoff(_ratios(tried, setting), drop, limits.get("max_accuracy_drop"))


def _ratios(tried: Tried, setting: Setting) -> list[float]:
    """Over the source model's, of the objectives of which less is better."""
    ratios = {
        Objective.LATENCY: tried.latency_ratio,
        Objective.P90_LATENCY: tried.latency_ratio,
        Objective.THROUGHPUT: tried.latency_ratio,
        Objective.SIZE: tried.size_ratio,
    }
    return [ratio for objective, ratio in ratios.items() if objective in setting.objectives]
