"""What a trial came to, as it is kept in the study's storage."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from hamerspace._schema import from_json
from hamerspace.constraints import Constraints, violation
from hamerspace.outcome.measurement import Gate, Measurement
from hamerspace.quantities import BY_LIMIT, Objective
from hamerspace.recipe import Recipe

BUILDS = "builds"
_MOST_NAMES = 5


@dataclass(frozen=True)
class Evaluation:
    """A recipe, built and measured.

    Attributes:
        recipe: What was built.
        measurement: What was observed.
        build_seconds: Wall seconds by build stage.
        reused_stages: Stages that came from the store.
        key: The store's key of the candidate.
        left_in_float: Names of the layers that the tool could not quantise.
    """

    recipe: Recipe
    measurement: Measurement
    build_seconds: Mapping[str, float] = field(default_factory=dict)
    reused_stages: tuple[str, ...] = ()
    key: str = ""
    left_in_float: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """One finished trial.

    Attributes:
        evaluation: What was built and measured.
        origin: ``baseline``, ``default``, ``history``, ``known`` or ``sampled``.
        violations: ``builds``, then each limit in a fixed order; at most 0 is kept.
        values: Objectives as measured, without a penalty.
        imputed: Objectives and limits that were not measured and stand at a guess.
        reused_from: Number of the trial that measured the same recipe, where this one did not.
        started_s: Seconds since the epoch.
        finished_s: Seconds since the epoch.
        default_of: The single tool whose own default the recipe is, where it is one.
    """

    evaluation: Evaluation
    origin: str
    violations: Mapping[str, float]
    values: Mapping[str, float]
    imputed: tuple[str, ...] = ()
    reused_from: int | None = None
    started_s: float = 0.0
    finished_s: float = 0.0
    default_of: str = ""

    @property
    def recipe(self) -> Recipe:
        return self.evaluation.recipe

    @property
    def measurement(self) -> Measurement:
        return self.evaluation.measurement

    @property
    def feasible(self) -> bool:
        """Whether every limit is kept and nothing was imputed."""
        return not self.imputed and all(v <= 0 for v in self.violations.values())

    def __repr__(self) -> str:
        fate = "feasible" if self.feasible else "infeasible"
        return f"<Record {self.origin}, {fate}: {self.recipe!r}, {self.measurement!r}>"

    def as_reuse(self, number: int, origin: str, now_s: float) -> "Record":
        """The record of a later trial that met the same recipe."""
        return replace(
            self,
            origin=origin,
            reused_from=self.reused_from if self.reused_from is not None else number,
            started_s=now_s,
            finished_s=now_s,
        )

    def to_json(self) -> str:
        return json.dumps(self, default=_plain)

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: It is damaged; the message names the key.
        """
        record = from_json(cls, text)
        if not isinstance(record.recipe.get("backend"), str):
            raise ValueError("'evaluation.recipe.parameters' names no 'backend'")  # noqa: TRY004
        return record


def _plain(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    return {field.name: getattr(value, field.name) for field in fields(value)}


def left_in_float_text(names: Sequence[str]) -> str:
    """That layers are not quantised, though the recipe's name says so; empty for none."""
    if not names:
        return ""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"left in float, as they cannot be quantised: {', '.join(names[:_MOST_NAMES])}{more}"


def judge(
    evaluation: Evaluation,
    constraints: Constraints,
    objectives: tuple[Objective, ...],
    source: Mapping[str, float],
) -> tuple[dict[str, float], dict[str, float], tuple[str, ...]]:
    """Violations, objective values, and which of them are imputed.

    An objective that no gate let through to be measured is imputed at the source model's value;
    an unmeasured limit counts as just kept, since the one that ended the trial is violated anyway.

    Args:
        evaluation: What was built and measured.
        constraints: The limits.
        objectives: What the search improves.
        source: The source model's values by objective.
    """
    measured = evaluation.measurement.observed()
    violations = {BUILDS: 1.0 if evaluation.measurement.failed else 0.0}
    values: dict[str, float] = {}
    imputed: list[str] = []
    for name, limit in constraints.limits().items():
        value = measured.get(BY_LIMIT[name].name)
        if value is None:
            imputed.append(name)
        violations[name] = 0.0 if value is None else violation(value, limit)
    for objective in objectives:
        value = measured.get(objective.value)
        if value is None:
            imputed.append(objective.value)
        values[objective.value] = source[objective.value] if value is None else value
    if evaluation.measurement.ended_at is not Gate.COMPLETE and not imputed:
        # A gate decided on part of the data: its figures are no full measurements.
        imputed.append(evaluation.measurement.ended_at.value)
    return violations, values, tuple(imputed)
