"""The feasible trials that no other dominates, and how much of the ideal they reach.

Objectives become *losses*, where less is better:

=============  ==========================================================================
objective      loss
=============  ==========================================================================
quality        drop against the source, in the metric's unit
latency        latency over that of the source (the interleaved ratio where there is one)
size, memory   value over that of the source
throughput     that of the source over the candidate's
=============  ==========================================================================

Where the source has no value of its own, the plain value stands for the ratio.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from hamerspace._numbers import ratio_of
from hamerspace.outcome.front import dominates, non_dominated
from hamerspace.outcome.trial import Trial
from hamerspace.quantities import BY_NAME
from hamerspace.report.run_data import RunData, Values

Loss = tuple[float, ...]
_MOST_EXACT = 3
"""Objectives of which the hypervolume is worked out exactly."""


def losses(run: RunData, values: Values) -> Loss | None:
    """The losses of one candidate in the order of the objectives; ``None`` if one is unknown."""
    found = [_loss(objective, values, run.source.values) for objective in run.objectives]
    known = tuple(value for value in found if value is not None)
    return known if len(known) == len(found) else None


def _loss(objective: str, values: Values, source: Values) -> float | None:
    quantity = BY_NAME[objective]
    key = quantity.compared.key
    if quantity.judged_by:
        return values.get(key)
    if quantity.more_is_better:
        rate, base = values.get(key), source.get(key)
        return (base or 1.0) / rate if rate else None
    ratio = ratio_of(key, values, source)
    return values.get(key) if ratio is None else ratio


def pareto_front(run: RunData) -> tuple[Trial, ...]:
    """Feasible trials that no feasible trial dominates, in the order of their numbers.

    Of the trials of one recipe only the first is looked at.
    """
    feasible = {trial.number: (trial, loss) for trial, loss in _feasible(run)}
    kept = non_dominated({number: loss for number, (_, loss) in feasible.items()})
    return tuple(feasible[number][0] for number in kept)


def _feasible(run: RunData) -> Iterable[tuple[Trial, Loss]]:
    seen = set()
    for trial in run.trials:
        loss = losses(run, trial.values) if trial.feasible else None
        if loss is not None and trial.recipe_id not in seen:
            seen.add(trial.recipe_id)
            yield trial, loss


def staircase(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points of a plane that none dominates, from left to right; less is better in both."""
    return sorted(non_dominated({point: point for point in points}))


def hypervolume_progress(run: RunData, allowance: float | None = None) -> list[tuple[int, float]]:
    """Hypervolume of the feasible trials after each trial, as (trial number, share).

    The share, between 0 and 1, is that of the box between the source model (the reference point)
    and the ideal (no time, no bytes, nothing lost) which the trials dominate. Along a ratio the
    box goes from 0 to 1, the source itself. Along quality it goes from no drop to the limit on the
    drop, or to the greatest drop of a feasible trial, at least 1, where there is no limit; a gain
    counts as no drop. A candidate that is worse than the reference in any objective adds nothing.

    Exact volumes take time that grows exponentially with the objectives. From four on the share is
    that of 16,384 points of a Sobol sequence (Bringmann and Friedrich 2010, "Approximating the
    volume of unions and intersections of high-dimensional geometric objects"), within 0.005.

    Args:
        run: The run.
        allowance: The drop at which the box ends instead, so that runs compare.
    """
    scales = [
        allowance if allowance and objective == "quality" else _scale(run, objective)
        for objective in run.objectives
    ]
    first = {trial.number: loss for trial, loss in _feasible(run)}
    front: list[Loss] = []
    progress = []
    share = 0.0
    left = _sample(len(scales)) if len(scales) > _MOST_EXACT else None
    of_points = 1 if left is None else len(left)
    for trial in run.trials:
        if trial.number in first:
            scaled = zip(first[trial.number], scales, strict=True)
            point = tuple(max(0.0, loss / scale) for loss, scale in scaled)
            if all(value <= 1.0 for value in point) and point not in front:
                front = [p for p in front if not dominates(point, p)]
                if not any(dominates(p, point) for p in front):
                    front.append(point)
                    if left is None:
                        share = hypervolume(front)
                    else:
                        left = left[(left < point).any(axis=1)]
                        share = 1.0 - len(left) / of_points
        progress.append((trial.number, share))
    return progress


def _sample(axes: int) -> npt.NDArray[np.float64]:
    """Points that fill the unit box evenly, ``[points, axes]``."""
    from scipy.stats import qmc

    points: npt.NDArray[np.float64] = qmc.Sobol(axes, seed=0).random_base2(14)
    return points


def allowance_of(run: RunData) -> float:
    """The drop at which quality counts as lost: the limit, or the worst that was feasible."""
    drops = [t.values.get("drop_points") or 0.0 for t in run.trials if t.feasible]
    return run.constraints.get("max_accuracy_drop") or max([1.0, *drops])


def _scale(run: RunData, objective: str) -> float:
    if objective == "quality":
        return allowance_of(run)
    known = [
        loss
        for trial in run.trials
        if trial.feasible
        and (loss := _loss(objective, trial.values, run.source.values)) is not None
    ]
    quantity = BY_NAME[objective]
    # Without a value of the source the losses are plain values: the worst seen is the reference.
    has_ratio = run.source.values.get(quantity.key) or (
        quantity.paired and any(t.values.get(f"{objective}_ratio") for t in run.trials)
    )
    return 1.0 if has_ratio or not known else max(known)


def hypervolume(points: Sequence[Loss]) -> float:
    """Volume of the unit box above ``points`` that at least one of them dominates.

    Exact, by the exclusive volumes of While, Bradstreet and Barone, "A Fast Way of Calculating
    Exact Hypervolumes" (IEEE Transactions on Evolutionary Computation, 2012).

    Args:
        points: Coordinates at most 1, the reference point; less is better.
    """
    total = 0.0
    for index, point in enumerate(points):
        volume = math.prod(1.0 - value for value in point)
        limited = {tuple(map(max, point, other)) for other in points[index + 1 :]}
        rest = non_dominated({p: p for p in limited})
        total += volume - hypervolume(rest)
    return total
