"""The order of measuring one candidate: the cheapest gate first, ended once its fate is clear."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import NoReturn

from hamerspace._numbers import amount, number
from hamerspace._text import visible
from hamerspace.constraints import Constraints
from hamerspace.errors import MetricError, SessionError
from hamerspace.measure.latency import LatencyPlan
from hamerspace.measure.sequential import Boundary, constant_boundary, two_sided_confidence
from hamerspace.measure.statistics import CONFIDENCE
from hamerspace.measure.steps import EvaluationSet, Steps
from hamerspace.outcome.interval import Interval
from hamerspace.outcome.measurement import Gate, Measurement, Quality
from hamerspace.quantities import BY_NAME

SHORT = LatencyPlan(0.1, 0.5, 0.0)
"""Of the latency gate."""

_PEEKS = 1.15


@dataclass(frozen=True)
class Gates:
    """What to measure and when to stop.

    Attributes:
        constraints: Limits; with ``gated`` they end the measuring early.
        looks: Row counts at which quality is looked at; the last is that of the split.
        gated: Whether a limit that is clearly missed ends the measuring.
        short: Latency plan of the gate.
        full: Latency plan of what passes.
        deflate: Whether to measure the size under deflate too, as models travel.
        look_first: Whether quality is looked at on the first rows before the short latency.
        always_timed: Whether a candidate that loses too much is timed shortly all the same.
        boundary: How far over the limit a drop must lie at each look before the last, in standard
            errors, to end the measuring.
        confidence: Of the drop's interval on all rows.
    """

    constraints: Constraints
    looks: tuple[int, ...]
    gated: bool = True
    short: LatencyPlan = SHORT
    full: LatencyPlan = field(default_factory=LatencyPlan)
    deflate: bool = False
    look_first: bool = False
    always_timed: bool = False
    boundary: Boundary = constant_boundary
    confidence: float = CONFIDENCE


@dataclass(frozen=True)
class MeasurementPlan:
    """A measurement on a target.

    Attributes:
        data: The split to evaluate on.
        batch_size: The deployment batch size.
        reference_ms: The source model's latency in this study.
        gates: What to measure and when to stop.
    """

    data: EvaluationSet
    batch_size: int
    reference_ms: float
    gates: Gates


def look_takes_less(rows: int, batch_size: int, reference_ms: float, short: LatencyPlan) -> bool:
    """Whether running the first rows is expected to take less than the short latency.

    Args:
        rows: Of the first look.
        batch_size: The deployment batch size.
        reference_ms: The source model's latency; a candidate's is not known yet.
        short: Latency plan of the gate.
    """
    return rows / batch_size * reference_ms / 1000 < short.max_s


def clearly_over(latency_ms: Interval, limit_ms: float) -> bool:
    """Whether a latency that is looked at after every pair of blocks can be called too high.

    The interval allows for a measuring that ends once it is tight. For a dozen looks at a limit
    its end must lie a little further yet from the estimate, so that about 2.5 % of candidates
    just at the limit are ended.
    """
    reach_ms = latency_ms.estimate - latency_ms.low
    return latency_ms.estimate - _PEEKS * reach_ms > limit_ms


def clearly_under(latency_ms: Interval, limit_ms: float) -> bool:
    """Whether it can be called low enough, with the same allowance as :func:`clearly_over`."""
    reach_ms = latency_ms.high - latency_ms.estimate
    return latency_ms.estimate + _PEEKS * reach_ms < limit_ms


class _Ended(Exception):  # noqa: N818 - not an error: a gate has decided
    def __init__(self, gate: Gate, reason: str) -> None:
        super().__init__(reason)
        self.gate = gate


class Protocol:
    """Takes the steps of one candidate through the gates.

    Args:
        gates: What to measure and when to stop.
        steps: Observe the candidate.
    """

    def __init__(self, gates: Gates, steps: Steps) -> None:
        self._gates = gates
        self._take = steps
        self._seconds: dict[str, float] = {}
        self._found = Measurement(Gate.COMPLETE)

    def measure(self) -> Measurement:
        """Return what was observed; a crash, a hang or bad output is an observation."""
        try:
            with closing(self._take):
                self._steps()
        except _Ended as end:
            self._found = replace(self._found, ended_at=end.gate, reason=str(end))
        except (SessionError, MetricError) as error:
            step = next(reversed(self._seconds), "start")
            gate = Gate.LOAD if step in ("start", "load") else Gate(step)
            self._found = replace(
                self._found, ended_at=gate, reason=visible(str(error)), failed=True
            )
        return replace(self._found, seconds=dict(self._seconds))

    def _steps(self) -> None:
        gates = self._gates
        self._size()
        with self._timed("start"):
            self._take.start()
        with self._timed("load"):
            load_time_ms, peak_memory_mb = self._take.load()
        self._found = replace(self._found, load_time_ms=load_time_ms, peak_memory_mb=peak_memory_mb)
        self._limit(Gate.MEMORY, peak_memory_mb)
        self._limit(Gate.LOAD_TIME, load_time_ms)
        if gates.gated:
            self._early()
        self._quality()
        with self._timed("latency"):
            self._found = replace(self._found, latency=self._take.latency(gates.full))

    def _early(self) -> None:
        """The gates that need the candidate to run."""
        early = self._gates.looks[:-1]
        before = 1 if self._gates.look_first else 0
        self._looks(early[:before])
        self._short_latency()
        self._looks(early[before:])

    def _size(self) -> None:
        gates = self._gates
        with self._timed("size"):
            size_mb = self._take.size_mb()
        self._found = replace(self._found, size_mb=size_mb)
        self._limit(Gate.SIZE, size_mb)
        if gates.deflate:
            with self._timed(Gate.DOWNLOAD.value):
                download_mb = self._take.download_mb()
            self._found = replace(self._found, download_mb=download_mb)
            self._limit(Gate.DOWNLOAD, download_mb)

    def _limit(self, gate: Gate, value: float) -> None:
        quantity = BY_NAME[gate]
        limit, unit = self._gates.constraints.limits().get(quantity.limit), quantity.unit
        if self._gates.gated and limit is not None and value > limit:
            told = f"{gate} {number(value)} {unit}".replace("_", " ")
            raise _Ended(gate, f"{told} is over the limit of {limit:g} {unit}")

    def _short_latency(self) -> None:
        limit = self._gates.constraints.max_latency_ms
        if limit is None:
            return
        with self._timed("latency"):
            latency = self._take.latency(
                self._gates.short, lambda ms: clearly_over(ms, limit) or clearly_under(ms, limit)
            )
        self._found = replace(self._found, latency=latency)
        if clearly_over(latency.latency_ms, limit):
            raise _Ended(
                Gate.LATENCY,
                f"latency {amount('latency_ms', latency.latency_ms.estimate)} is over the limit of "
                f"{limit:g} ms",
            )

    def _looks(self, counts: tuple[int, ...]) -> None:
        """Look at the first rows, as often as told."""
        limit = self._gates.constraints.max_accuracy_drop
        if limit is None:
            return
        early = self._gates.looks[:-1]
        bounds = dict(zip(early, self._gates.boundary(early), strict=True))
        for rows in counts:
            with self._timed("quality"):
                self._look(rows, two_sided_confidence(bounds[rows]), limit)

    def _quality(self) -> None:
        """On all rows, whose estimate decides: a latency that nobody asks for is not measured."""
        limit = self._gates.constraints.max_accuracy_drop
        with self._timed("quality"):
            quality = self._take.quality(self._gates.looks[-1], self._gates.confidence)
        self._found = replace(self._found, quality=quality)
        if self._gates.gated and limit is not None and quality.drop.estimate > limit:
            self._refuse_drop(quality, limit)

    def _look(self, rows: int, confidence: float, limit: float) -> None:
        try:
            quality = self._take.quality(rows, confidence, limit)
        except MetricError:
            return  # too few rows to judge yet: a class may be missing
        if quality.drop.low > limit:
            # What is kept has the confidence of all other intervals, not that of the test.
            quality = self._take.quality(rows, CONFIDENCE)
            self._found = replace(self._found, quality=quality)
            self._refuse_drop(quality, limit)

    def _refuse_drop(self, quality: Quality, limit: float) -> NoReturn:
        if self._gates.always_timed and self._found.latency is None:
            with self._timed("latency"):
                latency = self._take.latency(self._gates.short)
            self._found = replace(self._found, latency=latency)
        raise _Ended(
            Gate.QUALITY,
            f"drop of {quality.drop.estimate:.3g} after {quality.rows:,} of "
            f"{quality.of_rows:,} rows is over the limit of {limit:g}",
        )

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        self._seconds[step] = self._seconds.pop(step, 0.0)
        started = self._take.now_s()
        try:
            yield
        finally:
            self._seconds[step] += self._take.now_s() - started
