"""What records say of recipes, on the scales on which models work well."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hamerspace.outcome.measurement import Measurement
from hamerspace.quantities import BY_LIMIT, Objective, Quantity
from hamerspace.search.goal import Goal

_NORMAL_95 = 1.96
_UNLIMITED = 10.0


@dataclass(frozen=True)
class Figure:
    """One quantity to predict, where less is better.

    Ratios to the source model become their logarithm to the base 2, so that half the latency is as
    far from it as half the size. A drop becomes ``asinh(drop / allowance)``: linear up to the
    allowance, logarithmic beyond, where it does not matter any more how bad a candidate is.

    Attributes:
        quantity: What it is of.
        objective: Whether it is improved, or only limited.
        low: Its ideal, where there is one.
        high: The limit, or where there is none the source model's own value.
        scale: Turns an observed value into the figure.
        slope: Derivative of ``scale``, for variances.
    """

    quantity: Quantity
    objective: bool
    low: float | None
    high: float
    scale: Callable[[float], float]
    slope: Callable[[float], float]

    @property
    def name(self) -> str:
        return self.quantity.name

    def observe(self, measurement: Measurement) -> tuple[float, float] | None:
        """The figure and the variance of its observation; ``None`` where it was not measured."""
        found = measurement.interval(self.quantity)
        if found is None:
            return None
        value, deviation = found.estimate, found.half_width / _NORMAL_95
        spread = measurement.interval(self.quantity.ratio_of)
        if self.quantity.ratio_of.paired and spread is not None:
            deviation = value * spread.half_width / _NORMAL_95 / spread.estimate
        variance = (deviation * self.slope(value)) ** 2
        return self.scale(value), variance if math.isfinite(variance) else 1.0


def figures_of(goal: Goal) -> list[Figure]:
    """What must be predicted to know what a recipe is worth: objectives, then other limits."""
    limits = goal.constraints.limits()
    found = [_figure(o.quantity.compared, goal, limits, objective=True) for o in goal.objectives]
    improved = {figure.quantity for figure in found}
    return found + [
        _figure(BY_LIMIT[name], goal, limits, objective=False)
        for name in limits
        if BY_LIMIT[name] not in improved
    ]


def _figure(
    quantity: Quantity, goal: Goal, limits: Mapping[str, float], *, objective: bool
) -> Figure:
    limit = limits.get(quantity.limit)
    if quantity is Objective.QUALITY.quantity.compared:
        allowance = limit or 1.0

        def squashed(drop: float) -> float:
            return math.asinh(drop / allowance)

        def flattened(drop: float) -> float:
            return 1.0 / math.hypot(drop, allowance)

        high = squashed(limit if limit is not None else _UNLIMITED)
        return Figure(quantity, objective, 0.0, high, squashed, flattened)
    sign = -1.0 if quantity.more_is_better else 1.0
    base = goal.source.get(quantity.name) or 1.0

    def doublings(value: float) -> float:
        return sign * math.log2(max(value, 1e-9) / base)

    def slope(value: float) -> float:
        return sign / (max(value, 1e-9) * math.log(2))

    high = doublings(limit) if limit is not None else 0.0
    return Figure(quantity, objective, None, high, doublings, slope)
