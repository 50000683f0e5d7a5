"""A candidate that was measured again, on data the search never saw, and how each limit fared."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hamerspace import _html
from hamerspace._schema import from_plain
from hamerspace.constraints import Constraints
from hamerspace.outcome.measurement import Measurement
from hamerspace.quantities import BY_LIMIT

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
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Confirmed":
        return from_plain(cls, value)


def verdicts_of(measurement: Measurement, constraints: Constraints) -> dict[str, Verdict]:
    """Whether each limit is kept, missed, or not shown either way.

    A limit on a quantity without an interval (size, memory) is kept or missed.
    """
    found: dict[str, Verdict] = {}
    for name, limit in constraints.limits().items():
        interval = measurement.interval(BY_LIMIT[name])
        if interval is None:
            found[name] = "not shown"
        elif interval.high <= limit:
            found[name] = "kept"
        else:
            found[name] = "missed" if interval.low > limit else "not shown"
    return found
