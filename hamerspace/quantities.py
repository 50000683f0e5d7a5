"""What can be measured of a model: one entry a quantity, from which all else that names it follows.

A new one is an entry here, a step that measures it, and a line in the docs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Objective(StrEnum):
    """A quantity that the search improves."""

    QUALITY = "quality"
    LATENCY = "latency"
    SIZE = "size"
    MEMORY = "memory"
    THROUGHPUT = "throughput"
    DOWNLOAD = "download"
    P90_LATENCY = "p90_latency"
    LOAD_TIME = "load_time"

    @property
    def quantity(self) -> "Quantity":
        return BY_NAME[self.value]


@dataclass(frozen=True)
class Quantity:
    """What is known of a quantity, whatever model it is measured of.

    Attributes:
        name: In one word, which is the objective's where it may be one.
        key: The name in figures and tables, with its unit.
        title: The name for people, without its unit; default: that in one word.
        place: Where a :class:`~hamerspace.outcome.measurement.Measurement` keeps it: the names of
            attributes, joined by dots; default: the key.
        unit: Of the figure; empty where the metric decides.
        limit: Name of the limit on it; empty where there is none.
        more_is_better: Of quality the metric decides.
        gains: Words for a ratio to the source model's below and above 1; empty for none.
        ends: Keys of the ends of its interval; empty where it has none.
        paired: Where a measurement keeps its ratio to the source model's that was taken beside it;
            empty where the ratio is that of the two figures.
        inverse_of: Key of the quantity that it is the inverse of, but for a factor; that one's
            ratio and interval are its own then.
        judged_by: Key of the quantity by which it is compared with the source model, where the
            ratio says nothing.
        always: Whether short tables tell it where nobody asked for it.
    """

    name: str
    key: str
    title: str = ""
    place: str = ""
    unit: str = ""
    limit: str = ""
    more_is_better: bool = False
    gains: tuple[str, str] | None = None
    ends: tuple[str, str] | None = None
    paired: str = ""
    inverse_of: str = ""
    judged_by: str = ""
    always: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", self.title or self.name.replace("_", " "))
        object.__setattr__(self, "place", self.place or self.key)

    @property
    def compared(self) -> "Quantity":
        """The quantity by which it is compared with the source model: mostly itself."""
        return BY_KEY[self.judged_by or self.key]

    @property
    def figures(self) -> tuple[str, ...]:
        """Its key, those of the ends of its interval, and those of its paired ratio."""
        ratio = f"{self.name}_ratio"
        ratios = (ratio, f"{ratio}_low", f"{ratio}_high") if self.paired else ()
        return (self.key, *(self.ends or ()), *ratios)

    @property
    def ratio_of(self) -> "Quantity":
        """The quantity whose paired ratio is its own: mostly itself."""
        return BY_KEY[self.inverse_of or self.key]


@dataclass(frozen=True)
class Metric:
    """How quality is judged.

    Attributes:
        name: Such as ``accuracy``.
        direction: Whether more or less of the metric is better.
        drop_unit: ``points`` (hundredths, for metrics between 0 and 1) or ``%`` of the source's
            value.
    """

    name: str
    direction: Literal["maximize", "minimize"] = "maximize"
    drop_unit: Literal["points", "%"] = "points"


def told(objectives: Iterable[str], limits: Iterable[str]) -> list["Quantity"]:
    """What a short table tells of a model: sizes and times, and all that was asked for."""
    asked = {*objectives, *(BY_LIMIT[name].name for name in limits)}
    return [q for q in QUANTITIES if q.unit and (q.always or q.name in asked)]


QUANTITIES = (
    Quantity("quality", "quality", place="quality.value", judged_by="drop_points"),
    Quantity(
        "drop",
        "drop_points",
        "quality drop",
        "quality.drop",
        limit="max_accuracy_drop",
        ends=("drop_low", "drop_high"),
    ),
    Quantity(
        "latency",
        "latency_ms",
        place="latency.latency_ms",
        unit="ms",
        limit="max_latency_ms",
        gains=("faster", "slower"),
        ends=("latency_low_ms", "latency_high_ms"),
        paired="latency.ratio",
    ),
    Quantity(
        "p90_latency",
        "p90_latency_ms",
        place="latency.p90_latency_ms",
        unit="ms",
        limit="max_p90_latency_ms",
        gains=("faster", "slower"),
        ends=("p90_latency_low_ms", "p90_latency_high_ms"),
        paired="latency.p90_ratio",
        always=False,
    ),
    Quantity("size", "size_mb", unit="MB", limit="max_size_mb", gains=("smaller", "larger")),
    Quantity(
        "download",
        "download_mb",
        "download size",
        unit="MB",
        limit="max_download_mb",
        gains=("smaller", "larger"),
        always=False,
    ),
    Quantity(
        "memory",
        "memory_mb",
        place="peak_memory_mb",
        unit="MB",
        limit="max_memory_mb",
        gains=("less", "more"),
    ),
    Quantity(
        "throughput",
        "throughput_per_s",
        place="latency.throughput_per_s",
        unit="/s",
        more_is_better=True,
        inverse_of="latency_ms",
    ),
    Quantity(
        "load_time",
        "load_time_ms",
        unit="ms",
        limit="max_load_time_ms",
        gains=("faster", "slower"),
        always=False,
    ),
)
"""In the order in which tables show them."""

BY_NAME = {quantity.name: quantity for quantity in QUANTITIES}
BY_KEY = {quantity.key: quantity for quantity in QUANTITIES}
BY_LIMIT = {quantity.limit: quantity for quantity in QUANTITIES if quantity.limit}

FIGURES = tuple(key for quantity in QUANTITIES for key in quantity.figures)
"""Keys of all figures of a measurement: of quantities, the ends of intervals, and ratios."""
OF_FIGURE = {key: quantity for quantity in QUANTITIES for key in quantity.figures}
