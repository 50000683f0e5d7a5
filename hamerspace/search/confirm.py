"""Measure the front again in fresh processes, on data the search never saw, and choose."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hamerspace import _html
from hamerspace._numbers import SAME
from hamerspace._schema import from_plain
from hamerspace.constraints import Constraints, Objective, tradeoff
from hamerspace.measure.measurement import Measurement
from hamerspace.measure.statistics import Interval
from hamerspace.search.record import LIMITED, Record, observed

Verdict = Literal["kept", "missed", "not shown"]


@dataclass(frozen=True)
class Confirmed:
    """A candidate measured on the confirm split.

    Attributes:
        number: Of its trial.
        recipe_id: Of its recipe.
        measurement: In full, without gates.
        verdicts: Limit to ``kept``, ``missed``, or ``not shown`` where the interval straddles it.
    """

    number: int
    recipe_id: str
    measurement: Measurement
    verdicts: Mapping[str, Verdict]

    @property
    def rank(self) -> int:
        """0 where every limit is kept, 1 where one is not shown, 2 where one is missed."""
        if self.measurement.failed or "missed" in self.verdicts.values():
            return 2
        return 1 if "not shown" in self.verdicts.values() else 0

    def __repr__(self) -> str:
        return f"<Confirmed trial {self.number}: {self.measurement!r}, {dict(self.verdicts)}>"

    def _repr_html_(self) -> str:
        verdicts = {f"limit {name}": verdict for name, verdict in self.verdicts.items()}
        figures = {**self.measurement.figures(), **verdicts}
        return _html.card(f"Trial {self.number}, confirmed", _html.pairs(figures))

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "measurement": self.measurement.to_dict()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Confirmed":
        return from_plain(cls, value)


def verdicts_of(measurement: Measurement, constraints: Constraints) -> dict[str, Verdict]:
    """Whether each limit is kept, missed, or not shown either way.

    A limit on a quantity without an interval (size, memory) is kept or missed.
    """
    found: dict[str, Verdict] = {}
    values = observed(measurement)
    for name, limit in constraints.limits().items():
        interval = _interval(measurement, LIMITED[name], values.get(LIMITED[name]))
        if interval is None:
            found[name] = "not shown"
        elif interval.high <= limit:
            found[name] = "kept"
        else:
            found[name] = "missed" if interval.low > limit else "not shown"
    return found


def _interval(measurement: Measurement, name: str, value: float | None) -> Interval | None:
    if name == "latency" and measurement.latency is not None:
        return measurement.latency.latency_ms
    if name == "drop" and measurement.quality is not None:
        return measurement.quality.drop
    return None if value is None else Interval(value, value, value)


def cost(
    measurement: Measurement,
    objectives: tuple[Objective, ...],
    constraints: Constraints,
    source: Mapping[str, float],
) -> float:
    """One number to choose by; less is better, and the source model's own is 0.

    See :func:`hamerspace.constraints.tradeoff`.
    """
    ratios = _ratios(measurement, objectives, source)
    drop = observed(measurement).get("drop", 0.0) if Objective.QUALITY in objectives else 0.0
    return tradeoff(ratios.values(), drop, constraints.max_accuracy_drop)


def _ratios(
    measurement: Measurement, objectives: tuple[Objective, ...], source: Mapping[str, float]
) -> dict[Objective, float]:
    """Candidate over source of each objective but quality, turned so that less is better."""
    values, found = observed(measurement), dict[Objective, float]()
    for objective in objectives:
        name = objective.value
        if name in values and source.get(name) and objective is not Objective.QUALITY:
            found[objective] = max(values[name], 1e-9) / source[name]
            if measurement.latency and objective in (Objective.LATENCY, Objective.THROUGHPUT):
                # Timed beside the source model, where the machine may drift between the values.
                found[objective] = max(measurement.latency.ratio.estimate, 1e-9)
    return found


def beats_source(
    measurement: Measurement,
    objectives: tuple[Objective, ...],
    constraints: Constraints,
    source: Mapping[str, float],
) -> bool:
    """Whether it is worth shipping in place of the source model.

    That is so where the source model misses a limit itself. Otherwise the candidate's cost must
    be no more than the source's, and it must be better in an objective by what neither the
    interval takes back nor tables call the same.
    """
    limits = constraints.limits().items()
    if any(source.get(LIMITED[name], 0.0) > limit for name, limit in limits):
        return True
    ratios = _ratios(measurement, objectives, source)
    return cost(measurement, objectives, constraints, source) <= 0 and any(
        _improved(measurement, objective, ratios.get(objective, 1.0)) for objective in objectives
    )


def _improved(measurement: Measurement, objective: Objective, ratio: float) -> bool:
    if objective is Objective.QUALITY:
        return measurement.quality is not None and measurement.quality.drop.high < 0
    if objective in (Objective.LATENCY, Objective.THROUGHPUT):
        latency = measurement.latency
        if latency is None or latency.ratio.high >= 1:
            return False
    return ratio * SAME < 1


def choose(
    confirmed: list[Confirmed],
    objectives: tuple[Objective, ...],
    constraints: Constraints,
    source: Mapping[str, float],
) -> Confirmed | None:
    """The best that keeps every limit, else the best of which a limit is not shown.

    Whether it is better than the source model too, :func:`beats_source` tells.
    """
    usable = [c for c in confirmed if c.rank < 2]
    if not usable:
        return None
    return min(usable, key=lambda c: (c.rank, cost(c.measurement, objectives, constraints, source)))


def front(records: Mapping[int, Record], maximize: Mapping[str, bool]) -> list[int]:
    """Numbers of the feasible trials that no other feasible trial dominates, duplicates left out.

    Args:
        records: Trial number to record.
        maximize: Objective to whether more is better.
    """
    points: dict[int, tuple[float, ...]] = {}
    seen = set()
    for number, record in sorted(records.items()):
        if record.feasible and record.recipe.id not in seen:
            seen.add(record.recipe.id)
            points[number] = tuple(
                -record.values[name] if more else record.values[name]
                for name, more in maximize.items()
            )
    return [n for n, p in points.items() if not any(_dominates(q, p) for q in points.values())]


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
