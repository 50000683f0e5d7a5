"""What a search improves and keeps."""

from collections.abc import Mapping
from dataclasses import dataclass

from hamerspace.constraints import Constraints
from hamerspace.quantities import Objective
from hamerspace.search.ledger import Direction


@dataclass(frozen=True)
class Goal:
    """What the search improves and keeps.

    Attributes:
        objectives: In the order of the study's directions.
        constraints: The limits.
        source: The source model's value of each objective.
        minimize_quality: Whether less of the quality metric is better.
    """

    objectives: tuple[Objective, ...]
    constraints: Constraints
    source: Mapping[str, float]
    minimize_quality: bool = False

    def maximizes(self, objective: Objective) -> bool:
        """Whether more of an objective is better."""
        if objective is Objective.QUALITY:
            return not self.minimize_quality
        return objective is Objective.THROUGHPUT

    def told(self, values: Mapping[str, float], total: float) -> list[float]:
        """What a sampler that knows no constraints is told of a trial, objective by objective.

        Args:
            values: Of each objective, as measured.
            total: The penalty, on top in the magnitude of the source model's value; 0 for a
                feasible trial, which leaves its values plain.
        """
        worse = {o: total * (abs(self.source[o.value]) or 1.0) for o in self.objectives}
        return [
            values[o.value] - by if self.maximizes(o) else values[o.value] + by
            for o, by in worse.items()
        ]

    @property
    def maximize(self) -> dict[str, bool]:
        """Name of each objective to whether more of it is better."""
        return {objective.value: self.maximizes(objective) for objective in self.objectives}

    @property
    def directions(self) -> list[Direction]:
        """Of the objectives, as Optuna names them."""
        return ["maximize" if self.maximizes(o) else "minimize" for o in self.objectives]
