"""What was observed of a candidate, each figure with its spread."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from hamerspace import _html, _numbers
from hamerspace._numbers import amount
from hamerspace._schema import from_plain
from hamerspace.outcome.interval import Interval
from hamerspace.quantities import FIGURES, QUANTITIES, Quantity


class Gate(StrEnum):
    """Where the measuring of a candidate ended."""

    BUILD = "build"
    LOAD = "load"
    SIZE = "size"
    DOWNLOAD = "download"
    MEMORY = "memory"
    LOAD_TIME = "load_time"
    LATENCY = "latency"
    QUALITY = "quality"
    COMPLETE = "complete"


@dataclass(frozen=True)
class Latency:
    """Time of one batch at the deployment batch size.

    Attributes:
        ratio: Over the source model's, from interleaved blocks.
        latency_ms: Of one process ``ratio`` times the source model's latency as the study measured
            it: free of slow drift, so that the candidates of a study compare. Of several what each
            of them showed.
        p50_ms: Median wall time of a run.
        p90_ms: 90th percentile of the wall time.
        p99_ms: 99th percentile; ``None`` under 500 runs.
        cpu_p50_ms: Median CPU time of a run, over all threads.
        cpu_p90_ms: 90th percentile of the CPU time.
        runs: Number of timed runs.
        blocks: Number of interleaved blocks.
        wall_over_cpu: Median over blocks; above 1.1 other work took the processor.
        basis: ``wall``, or ``cpu`` where the host was busy and there is one thread.
        throughput_per_s: Samples per second of one stream: the batch size over ``latency_ms``.
        p90_ratio: 90th percentile over the source model's, from interleaved blocks; ``None`` where
            an earlier version timed them.
        p90_latency_ms: The same in ms, as ``latency_ms`` is.
        processes: Pairs of processes that were timed; of one, the interval leaves out what differs
            from process to process.
    """

    ratio: Interval
    latency_ms: Interval
    p50_ms: float
    p90_ms: float
    p99_ms: float | None
    cpu_p50_ms: float
    cpu_p90_ms: float
    runs: int
    blocks: int
    wall_over_cpu: float
    basis: str
    throughput_per_s: float
    processes: int = 1
    p90_ratio: Interval | None = None
    p90_latency_ms: Interval | None = None


@dataclass(frozen=True)
class Quality:
    """Quality on the first ``rows`` rows of a split.

    Attributes:
        value: The metric.
        source_value: The metric of the source model on the same rows.
        drop: Loss against the source model, paired per sample, in points or percent.
        rows: How many rows.
        of_rows: How many the split has.
        note: What the metric may not show, in one sentence; empty where there is nothing.
    """

    value: float
    source_value: float
    drop: Interval
    rows: int
    of_rows: int
    note: str = ""


@dataclass(frozen=True)
class Measurement:
    """All that was observed of one candidate.

    Attributes:
        ended_at: The gate that decided, or ``complete``.
        reason: One line for people where a gate decided or the candidate failed.
        failed: Whether the candidate cannot be used: it crashed, hung or gave no finite output.
        size_mb: MB of every file that the runtime needs.
        download_mb: MB of the same files under deflate; measured where it is asked for.
        load_time_ms: Wall time of loading, runtime import excluded.
        peak_memory_mb: Peak resident MB over that of the bare runtime.
        latency: Where it was measured.
        quality: Where it was measured.
        seconds: Wall seconds by step.
    """

    ended_at: Gate
    reason: str = ""
    failed: bool = False
    size_mb: float | None = None
    load_time_ms: float | None = None
    peak_memory_mb: float | None = None
    latency: Latency | None = None
    quality: Quality | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    download_mb: float | None = None

    @property
    def fate(self) -> Gate:
        """Where it ended; ``load`` for what was built and fails, under whichever gate it does."""
        return Gate.LOAD if self.failed and self.ended_at is not Gate.BUILD else self.ended_at

    def interval(self, quantity: Quantity) -> Interval | None:
        """A quantity as it was observed; its ends are the estimate where it has none."""
        return self._at(quantity.place)

    def ratio(self, quantity: Quantity) -> Interval | None:
        """Over the source model's, as it was taken beside it, less being better.

        ``None`` where it was not: then the ratio is that of the two figures.
        """
        return self._at(quantity.ratio_of.paired)

    def _at(self, place: str) -> Interval | None:
        found: Any = self
        for name in place.split("."):
            found = getattr(found, name, None)
        return Interval(found, found, found) if isinstance(found, int | float) else found

    def values(self) -> dict[str, float | None]:
        """Each of :data:`~hamerspace.quantities.FIGURES`; ``None`` where it was not measured."""
        found: dict[str, float | None] = dict.fromkeys(FIGURES)
        for quantity in QUANTITIES:
            own = self.interval(quantity)
            known = [own, self.ratio(quantity) if quantity.paired else None]
            values = [v for one in known if one for v in (one.estimate, one.low, one.high)]
            ends = quantity.ends is not None
            found |= zip(quantity.figures, values if ends else values[:1], strict=False)
        return found

    def observed(self) -> dict[str, float]:
        """Name of a quantity to its figure, as far as it was measured."""
        found = {quantity.name: self.interval(quantity) for quantity in QUANTITIES}
        return {name: one.estimate for name, one in found.items() if one is not None}

    def figures(self) -> dict[str, str]:
        """What was measured, as text for people; the drop is in points or percent of the source."""
        found = {}
        if self.quality is not None:
            drop = self.quality.drop
            found["quality"] = _numbers.quality(self.quality.value)
            found["drop"] = _numbers.drop(drop.estimate, drop.low, drop.high)
            found["rows"] = f"{self.quality.rows:,} of {self.quality.of_rows:,}"
        if self.latency is not None:
            found["latency"] = _numbers.amount_with_gain(
                "latency_ms", self.latency.latency_ms.estimate, self.latency.ratio.estimate
            )
            found["throughput"] = amount("throughput_per_s", self.latency.throughput_per_s)
        plain = {
            "size": ("size_mb", self.size_mb),
            "download": ("download_mb", self.download_mb),
            "peak memory": ("memory_mb", self.peak_memory_mb),
            "load time": ("load_time_ms", self.load_time_ms),
        }
        return found | {k: amount(*figure) for k, figure in plain.items() if figure[1] is not None}

    def __repr__(self) -> str:
        figures = self.figures()
        told = ("quality", "drop", "latency", "size")
        words = [f"{name} {figures[name]}" for name in told if name in figures]
        return f"<Measurement {self.ended_at}: {', '.join(words) or self.reason or 'nothing'}>"

    def _repr_html_(self) -> str:
        title = "Measurement" if self.ended_at is Gate.COMPLETE else f"Ended at: {self.ended_at}"
        parts = [_html.line(self.reason)] if self.reason else []
        return _html.card(title, *parts, _html.pairs(self.figures()))

    def to_dict(self) -> dict[str, Any]:
        """JSON-representable; :meth:`from_dict` takes it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Measurement":
        """What :meth:`to_dict` gave.

        Raises:
            ValueError: A key is missing or wrong; the message names it.
        """
        return from_plain(cls, value)
