"""What records say of recipes, on the scales on which models work well."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hamerspace.constraints import Objective
from hamerspace.measure.measurement import Measurement
from hamerspace.search.goal import Goal
from hamerspace.search.record import LIMITED, observed

_NORMAL_95 = 1.96
_UNLIMITED = 10.0


@dataclass(frozen=True)
class Figure:
    """One quantity to predict, where less is better.

    Ratios to the source model become their logarithm to the base 2, so that half the latency is as
    far from it as half the size. A drop becomes ``asinh(drop / allowance)``: linear up to the
    allowance, logarithmic beyond, where it does not matter any more how bad a candidate is.

    Attributes:
        name: As :func:`hamerspace.search.record.observed` names it.
        objective: Whether it is improved, or only limited.
        low: Its ideal, where there is one.
        high: The limit, or where there is none the source model's own value.
        scale: Turns an observed value into the figure.
        slope: Derivative of ``scale``, for variances.
    """

    name: str
    objective: bool
    low: float | None
    high: float
    scale: Callable[[float], float]
    slope: Callable[[float], float]

    def observe(self, measurement: Measurement) -> tuple[float, float] | None:
        """The figure and the variance of its observation; ``None`` where it was not measured."""
        value = observed(measurement).get(self.name)
        if value is None:
            return None
        deviation = 0.0
        if self.name == "drop" and measurement.quality is not None:
            deviation = measurement.quality.drop.half_width / _NORMAL_95
        if self.name in ("latency", "throughput") and measurement.latency is not None:
            latency = measurement.latency.latency_ms
            deviation = value * latency.half_width / _NORMAL_95 / latency.estimate
        variance = (deviation * self.slope(value)) ** 2
        return self.scale(value), variance if math.isfinite(variance) else 1.0


def figures_of(goal: Goal) -> list[Figure]:
    """What must be predicted to know what a recipe is worth: objectives, then other limits."""
    limits = {LIMITED[name]: limit for name, limit in goal.constraints.limits().items()}
    found = [_figure(_observed_name(o), goal, limits, objective=True) for o in goal.objectives]
    names = {figure.name for figure in found}
    return found + [
        _figure(name, goal, limits, objective=False) for name in limits if name not in names
    ]


def _observed_name(objective: Objective) -> str:
    return "drop" if objective is Objective.QUALITY else objective.value


def _figure(name: str, goal: Goal, limits: Mapping[str, float], *, objective: bool) -> Figure:
    limit = limits.get(name)
    if name == "drop":
        allowance = limit or 1.0

        def squashed(drop: float) -> float:
            return math.asinh(drop / allowance)

        def flattened(drop: float) -> float:
            return 1.0 / math.hypot(drop, allowance)

        high = squashed(limit if limit is not None else _UNLIMITED)
        return Figure(name, objective, 0.0, high, squashed, flattened)
    sign = -1.0 if name == Objective.THROUGHPUT.value else 1.0
    base = goal.source.get(name) or 1.0

    def doublings(value: float) -> float:
        return sign * math.log2(max(value, 1e-9) / base)

    def slope(value: float) -> float:
        return sign / (max(value, 1e-9) * math.log(2))

    high = doublings(limit) if limit is not None else 0.0
    return Figure(name, objective, None, high, doublings, slope)
