"""How much of the best that a table holds a search has reached, trial by trial."""

import math

from hamerspace.outcome.front import dominates, non_dominated
from hamerspace.outcome.measurement import Measurement
from hamerspace.outcome.record import Evaluation, judge
from hamerspace.quantities import Objective
from hamerspace.report.pareto import hypervolume
from hamerspace.search.goal import Goal

from .table import Setting, Table

Point = tuple[float, ...]


def goal_of(setting: Setting) -> Goal:
    """What a search of the table's task improves and keeps."""
    return Goal(
        setting.objectives, setting.constraints, setting.source_values, setting.minimize_quality
    )


class Reach:
    """The hypervolume of feasible candidates over that of all feasible rows of a table.

    The volume lies between the source model and the best that any feasible row reaches in each
    objective. Latency and size count in doublings, quality as the drop over its allowance; a gain
    in quality counts as none, and what is worse than the source model adds nothing.

    Args:
        table: Whose rows are the whole.
    """

    def __init__(self, table: Table) -> None:
        self._goal = goal_of(table.setting)
        points = [
            point
            for row in table.rows
            if (point := self._losses(row.measurement, Evaluation(row.recipe, row.measurement)))
        ]
        self._lows = [min(values) for values in zip(*points, strict=True)]
        self._front: list[Point] = []
        self.whole = 1.0
        front = non_dominated({(scaled := self._scaled(point)): scaled for point in points})
        self.whole = hypervolume(front)
        self.front_size = len(front)
        self.feasible = len(points)
        self._share = 0.0

    def add(self, evaluation: Evaluation) -> float:
        """Take in what was evaluated; return the share reached so far, at most 1."""
        losses = self._losses(evaluation.measurement, evaluation)
        if losses is None:
            return self._share
        point = self._scaled(losses)
        if not any(p == point or dominates(p, point) for p in self._front):
            self._front = [p for p in self._front if not dominates(point, p)] + [point]
            self._share = hypervolume(self._front) / self.whole
        return self._share

    def forget(self) -> None:
        """Begin anew."""
        self._front, self._share = [], 0.0

    def _losses(self, measurement: Measurement, evaluation: Evaluation) -> Point | None:
        """Losses of a feasible candidate that is no worse than the source; 0 is the source."""
        goal = self._goal
        violations, _, imputed = judge(evaluation, goal.constraints, goal.objectives, goal.source)
        if imputed or any(value > 0 for value in violations.values()):
            return None
        values = measurement.observed()
        losses = []
        for objective in goal.objectives:
            if objective is Objective.QUALITY:
                allowance = goal.constraints.max_accuracy_drop or 1.0
                losses.append(max(values["drop"], 0.0) / allowance - 1.0)
                continue
            name = objective.value
            doublings = math.log2(values[name] / goal.source[name])
            losses.append(-doublings if objective is Objective.THROUGHPUT else doublings)
        return tuple(losses) if all(loss <= 0 for loss in losses) else None

    def _scaled(self, losses: Point) -> Point:
        """0 at the best, 1 at the source."""
        return tuple(
            1.0 - (loss / low if low else 0.0) for loss, low in zip(losses, self._lows, strict=True)
        )
