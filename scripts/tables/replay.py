"""A target that replays a table, gate by gate, on a virtual clock."""

from dataclasses import dataclass, replace
from typing import TypeVar

from scipy import stats

from hamerspace.errors import SessionError
from hamerspace.measure.latency import LatencyPlan
from hamerspace.measure.protocol import SHORT, Gates, Protocol, look_takes_less
from hamerspace.measure.quality import looks
from hamerspace.measure.statistics import CONFIDENCE
from hamerspace.measure.steps import Clear, Steps
from hamerspace.outcome.interval import Interval
from hamerspace.outcome.measurement import Gate, Latency, Quality
from hamerspace.outcome.record import Evaluation
from hamerspace.recipe import Recipe

from .table import Look, Row, Table

Value = TypeVar("Value")


@dataclass
class VirtualClock:
    """Seconds that a search would have taken.

    Attributes:
        now_s: Since the search began.
    """

    now_s: float = 0.0

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds


class Replay:
    """Evaluates recipes by what a table says of them.

    Args:
        table: What was measured.
        clock: Advanced by what each step took.
        gates: What to measure and when to stop; default: those of a search.
        shares_stages: Whether a build stage is built once only, as by the store.
    """

    def __init__(
        self,
        table: Table,
        clock: VirtualClock,
        gates: Gates | None = None,
        *,
        shares_stages: bool = True,
    ) -> None:
        self._table = table
        self.clock = clock
        self._gates = gates or gates_of(table)
        self._shares_stages = shares_stages
        self._built: set[str] = set()
        self.builds = 0

    def has(self, key: str) -> bool:
        """Whether a build stage's result is at hand."""
        return key in self._built

    def __call__(self, recipe: Recipe, *, always_timed: bool = False) -> Evaluation:
        """What a search would have observed of ``recipe``.

        Raises:
            ConfigError: The table lacks it.
        """
        row = self._table.row(recipe)
        self.builds += 1
        seconds = {}
        for key in row.stages:
            label, stage_s = self._table.stages[key]
            if key not in self._built:
                seconds[label] = stage_s
                self.clock.advance(stage_s)
        if self._shares_stages:
            self._built.update(row.stages)
        key = row.stages[-1] if row.stages else ""
        if row.measurement.ended_at is Gate.BUILD:
            return Evaluation(recipe, row.measurement, seconds, key=key)
        gates = replace(self._gates, always_timed=always_timed)
        measurement = Protocol(gates, TableSteps(row, self.clock)).measure()
        return Evaluation(recipe, measurement, seconds, key=key)


def gates_of(table: Table) -> Gates:
    """The gates of a search of the table's task."""
    setting = table.setting
    rows = next(row.looks[-1].quality.of_rows for row in table.rows if row.looks)
    counts = looks(rows, setting.batch_size, setting.first_look)
    return Gates(
        setting.constraints,
        counts,
        look_first=look_takes_less(
            counts[0], setting.batch_size, setting.source_values["latency"], SHORT
        ),
    )


class TableSteps(Steps):
    """The steps of one row.

    Args:
        row: What was measured.
        clock: Advanced by what each step took.
    """

    def __init__(self, row: Row, clock: VirtualClock) -> None:
        self._row = row
        self._clock = clock
        self._run_s = 0.0
        self._timed = False

    def now_s(self) -> float:
        return self._clock.now_s

    def size_mb(self) -> float:
        return self._known(self._row.measurement.size_mb, "size")

    def download_mb(self) -> float:
        return self._known(self._row.measurement.download_mb, "download")

    def start(self) -> None:
        self._spend("start")

    def load(self) -> tuple[float, float]:
        self._spend("load")
        found = self._row.measurement
        return self._known(found.load_time_ms, "load"), self._known(found.peak_memory_mb, "load")

    def latency(self, plan: LatencyPlan, clear: Clear | None = None) -> Latency:  # noqa: ARG002
        """What the gate's short plan showed, or the full one."""
        if not self._timed:
            self._spend("short")
            self._timed = True
        if plan == SHORT:
            return self._known(self._row.short, "latency")
        self._spend("full")
        return self._known(self._row.measurement.latency, "latency")

    def quality(self, rows: int, confidence: float, limit: float | None = None) -> Quality:
        look = self._look(rows)
        self._clock.advance(max(look.run_s - self._run_s, 0.0))  # rows are run once
        self._run_s = max(self._run_s, look.run_s)
        if limit is None or look.quality.drop.estimate > limit:
            self._clock.advance(look.judge_s)
        return _at_confidence(look.quality, confidence)

    def close(self) -> None:
        """There is nothing to end."""

    def _look(self, rows: int) -> Look:
        """The first look at no fewer rows."""
        look = next((look for look in self._row.looks if look.quality.rows >= rows), None)
        return self._known(look, "quality")

    def _spend(self, step: str) -> None:
        self._clock.advance(self._row.seconds.get(step, 0.0))

    def _known(self, value: Value | None, step: str) -> Value:
        if value is None:
            raise SessionError(f"{step}: {self._row.measurement.reason}")
        return value


def _at_confidence(quality: Quality, confidence: float) -> Quality:
    """The same with the drop's interval at another confidence, by the normal distribution."""
    scale = stats.norm.ppf((1 + confidence) / 2) / stats.norm.ppf((1 + CONFIDENCE) / 2)
    drop = quality.drop
    middle, half = (drop.low + drop.high) / 2, scale * drop.half_width
    return replace(quality, drop=Interval(drop.estimate, middle - half, middle + half))
