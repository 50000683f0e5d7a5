"""A finished trial as a study tells it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from hamerspace._text import visible
from hamerspace.outcome.record import BUILDS, Record, left_in_float_text
from hamerspace.recipe import Scalar


@dataclass(frozen=True)
class Trial:
    """A record with its place in the study.

    Attributes:
        number: Within the study.
        label: Short name of the recipe, such as ``openvino int8 prune 0.3``.
        record: What it came to.
        choices: What was chosen of the space. Unlike ``parameters`` it holds what a recipe leaves
            out because it does nothing, such as a ratio of 0, and nothing that had no choice.
        began_s: When the study's first trial began, in seconds since the epoch.
    """

    number: int
    label: str
    record: Record
    choices: Mapping[str, Scalar] = field(default_factory=dict)
    began_s: float = 0.0

    @property
    def recipe_id(self) -> str:
        return self.record.recipe.id

    @property
    def parameters(self) -> Mapping[str, Scalar]:
        return self.record.recipe.parameters

    @property
    def backend(self) -> str:
        return self.record.recipe.backend

    @property
    def origin(self) -> str:
        return self.record.origin

    @property
    def default_of(self) -> str:
        return self.record.default_of

    @property
    def feasible(self) -> bool:
        return self.record.feasible

    @property
    def ended_at(self) -> str:
        """The gate that ended it; ``load`` for what was built and fails; ``complete``; ``reused``.

        Reused is what an earlier trial of the same recipe lent its results.
        """
        reused = self.record.reused_from is not None
        return "reused" if reused else self.record.measurement.fate.value

    @property
    def reason(self) -> str:
        """Why it ended there, in one line."""
        if self.record.reused_from is not None:
            return f"same recipe as trial {self.record.reused_from}"
        told = visible(self.record.measurement.reason) or "measured in full"
        left = visible(left_in_float_text(self.record.evaluation.left_in_float))
        return f"{told}; {left}" if left else told

    @cached_property
    def values(self) -> Mapping[str, float | None]:
        """Each of :data:`~hamerspace.quantities.FIGURES`, as the search measured it."""
        return self.record.measurement.values()

    @property
    def violations(self) -> Mapping[str, float]:
        """Limit to ``(value - limit) / limit``, at most 0 where it is kept."""
        return {k: v for k, v in self.record.violations.items() if k != BUILDS or v > 0}

    @cached_property
    def seconds(self) -> Mapping[str, float]:
        """Where the time went: ``build``, the parts of measuring, and ``overhead``."""
        if self.record.reused_from is not None:
            return {}
        building_s = sum(self.record.evaluation.build_seconds.values())
        parts = {"build": building_s, **self.record.measurement.seconds}
        taken = self.record.finished_s - self.record.started_s
        return {**parts, "overhead": max(taken - sum(parts.values()), 0.0)}

    @property
    def started_s(self) -> float:
        """In seconds since the study began."""
        return self.record.started_s - self.began_s

    @property
    def finished_s(self) -> float:
        """In seconds since the study began."""
        return self.record.finished_s - self.began_s
