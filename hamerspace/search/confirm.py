"""What is best of what was measured, and whether it is worth shipping."""

from collections.abc import Iterable

from hamerspace._numbers import SAME
from hamerspace.constraints import tradeoff
from hamerspace.outcome.confirmed import Confirmed
from hamerspace.outcome.measurement import Measurement
from hamerspace.quantities import BY_LIMIT, Objective
from hamerspace.search.goal import Goal


def cost(measurement: Measurement, goal: Goal) -> float:
    """One number to choose by; less is better, and the source model's own is 0.

    See :func:`hamerspace.constraints.tradeoff`.
    """
    quality = measurement.quality if Objective.QUALITY in goal.objectives else None
    drop = 0.0 if quality is None else quality.drop.estimate
    return tradeoff(_ratios(measurement, goal).values(), drop, goal.constraints.max_accuracy_drop)


def _ratios(measurement: Measurement, goal: Goal) -> dict[Objective, float]:
    """Candidate over source of each objective but quality, turned so that less is better."""
    found = dict[Objective, float]()
    for objective in goal.objectives:
        quantity = objective.quantity
        value, base = measurement.interval(quantity), goal.source.get(objective.value)
        if value is not None and base and not quantity.judged_by:
            # Timed beside the source model, the machine may drift between the values.
            ratio = measurement.ratio(quantity)
            plain = max(value.estimate, 1e-9) / base
            found[objective] = plain if ratio is None else max(ratio.estimate, 1e-9)
    return found


def beats_source(measurement: Measurement, goal: Goal) -> bool:
    """Whether it is worth shipping in place of the source model.

    That is so where the source model misses a limit itself. Otherwise the candidate's cost must
    be no more than the source's, and it must be better in an objective by what neither the
    interval takes back nor tables call the same.
    """
    limits = goal.constraints.limits().items()
    if any(goal.source.get(BY_LIMIT[name].name, 0.0) > limit for name, limit in limits):
        return True
    ratios = _ratios(measurement, goal)
    return cost(measurement, goal) <= 0 and any(
        _improved(measurement, objective, ratios.get(objective, 1.0))
        for objective in goal.objectives
    )


def _improved(measurement: Measurement, objective: Objective, ratio: float) -> bool:
    quantity = objective.quantity
    if quantity.judged_by:
        lost = measurement.interval(quantity.compared)
        return lost is not None and lost.high < 0
    if quantity.ratio_of.paired:
        beside = measurement.ratio(quantity)
        if beside is None or beside.high >= 1:
            return False
    return ratio * SAME < 1


def choose(confirmed: Iterable[Confirmed], goal: Goal) -> Confirmed | None:
    """The best that keeps every limit, else the best of which a limit is not shown.

    Whether it is better than the source model too, :func:`beats_source` tells.
    """
    usable = [c for c in confirmed if c.rank < 2]
    return min(usable, key=lambda c: (c.rank, cost(c.measurement, goal)), default=None)
