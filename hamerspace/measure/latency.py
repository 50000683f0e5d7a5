"""Latency from blocks of runs of the candidate, interleaved with blocks of the source model.

Machines drift: clocks change, neighbours come and go. Two blocks a few milliseconds apart see the
same machine, so the ratio of their medians is steady where neither of them is. Between the two
no other measuring goes on.
"""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from statistics import median

import numpy as np

from hamerspace.measure.runner import Runner, of_the_source
from hamerspace.measure.statistics import CONFIDENCE, process_interval, ratio_interval
from hamerspace.outcome.interval import Interval
from hamerspace.outcome.measurement import Latency, Measurement

BUSY_WALL_OVER_CPU = 1.1
_BLOCK_S = 0.02
_MIN_BLOCKS = 6
_RUNS_FOR_P90 = 10
_RUNS_FOR_P99 = 500
_WATCHED = 1.3
"""Widens an interval that ends the measuring once it looks tight: without this it would hold in 89
to 94 of 100 runs in place of 95 (``tests/measure/test_latency.py`` simulates them)."""


@dataclass(frozen=True)
class LatencyPlan:
    """When to stop.

    Attributes:
        tolerance: Relative half-width of the ratio's interval that is tight enough; of that of the
            90th percentiles too, with ``tail``.
        max_s: Wall seconds after which to stop anyway, warm-up excluded.
        min_s: Wall seconds to measure at least, so that percentiles mean something.
        confidence: Of the ratio's interval.
        tail: Whether the 90th percentile is asked for.
    """

    tolerance: float = 0.05
    max_s: float = 0.8
    min_s: float = 0.2
    confidence: float = CONFIDENCE
    tail: bool = False

    def met_by(self, ratio: Interval | None) -> bool:
        """Whether an interval is tight enough."""
        return ratio is None or ratio.half_width <= self.tolerance * ratio.estimate


@dataclass
class _Side:
    """The blocks of one model."""

    runner: Runner
    is_source: bool = False
    runs: int = 1
    wall_ns: list[list[int]] = field(default_factory=list)
    cpu_ns: list[list[int]] = field(default_factory=list)

    def warm_up(self, max_s: float = 2.0) -> None:
        """Run until three block medians in a row lie within a tenth, then size the blocks."""
        started, medians = time.monotonic(), list[float]()
        while time.monotonic() - started < max_s:
            wall, _ = self._block()
            medians.append(float(np.median(wall)))
            if sum(wall) < _BLOCK_S * 1e9 / 2:
                self.runs = max(self.runs * 2, 2)
                continue
            recent = medians[-3:]
            if len(recent) == 3 and max(recent) < 1.1 * min(recent):
                break
        self.runs = max(1, round(_BLOCK_S * 1e9 / medians[-1]))

    def add_block(self) -> None:
        wall, cpu = self._block()
        self.wall_ns.append(wall)
        self.cpu_ns.append(cpu)

    def _block(self) -> tuple[list[int], list[int]]:
        with of_the_source() if self.is_source else nullcontext():
            return self.runner.block(self.runs)

    def blocks(self, basis: str) -> list[list[int]]:
        return self.wall_ns if basis == "wall" else self.cpu_ns

    def medians(self, basis: str) -> list[float]:
        return [float(np.median(block)) for block in self.blocks(basis)]

    def p90s(self, basis: str, together: int) -> list[float]:
        """Of every ``together`` blocks that follow each other; of what is left over, none."""
        blocks = self.blocks(basis)
        firsts = range(0, len(blocks) - together + 1, together)
        return [float(np.percentile(_flat(blocks[i : i + together]), 90)) for i in firsts]

    def wall_over_cpu(self) -> float:
        sums = zip(self.wall_ns, self.cpu_ns, strict=True)
        return float(np.median([sum(wall) / max(sum(cpu), 1) for wall, cpu in sums]))


class LatencyRun:
    """The interleaved blocks of a candidate and the source model; extended step by step.

    Args:
        candidate: Of the candidate, loaded.
        reference: Of the source model, loaded.
        threads: Threads of one inference; CPU time can stand in for wall time only at one.
        reference_ms: The source model's latency in this study, or ``None`` where its own in this
            process counts.
        batch_size: Samples in one run.
    """

    def __init__(
        self,
        candidate: Runner,
        reference: Runner,
        threads: int,
        reference_ms: float | None,
        batch_size: int,
    ) -> None:
        self._candidate = _Side(candidate)
        self._reference = _Side(reference, is_source=True)
        self._threads = threads
        self._reference_ms = reference_ms
        self._batch_size = batch_size
        self._measured_s = 0.0
        for side in (self._candidate, self._reference):
            side.warm_up()

    def extend(self, plan: LatencyPlan, clear: Callable[[Interval], bool] | None = None) -> Latency:
        """Add pairs of blocks until the plan is met.

        Args:
            plan: When to stop.
            clear: Told the interval of the latency in ms; true ends the measuring at once.
        """
        started = time.monotonic()
        while True:
            # Who goes first takes turns, as what lasts drifts through both blocks of a pair.
            sides = (self._reference, self._candidate)
            for side in sides if len(self._candidate.wall_ns) % 2 else sides[::-1]:
                side.add_block()
            if len(self._candidate.wall_ns) < _MIN_BLOCKS:
                continue
            latency = self._latency(plan.confidence)
            if plan.tail:
                latency = self._with_tail(latency, plan.confidence)
            elapsed = self._measured_s + time.monotonic() - started
            if clear is not None and clear(latency.latency_ms):
                break
            tight = plan.met_by(latency.ratio) and (not plan.tail or plan.met_by(latency.p90_ratio))
            if (tight and elapsed >= plan.min_s) or elapsed >= plan.max_s:
                break
        self._measured_s += time.monotonic() - started
        return latency if plan.tail else self._with_tail(latency, plan.confidence)

    def _latency(self, confidence: float) -> Latency:
        wall_over_cpu = max(self._candidate.wall_over_cpu(), self._reference.wall_over_cpu())
        basis = "cpu" if self._threads == 1 and wall_over_cpu > BUSY_WALL_OVER_CPU else "wall"
        ours, theirs = self._candidate.medians(basis), self._reference.medians(basis)
        ratio = ratio_interval(ours, theirs, confidence, _WATCHED)
        reference_ms = self._reference_ms
        if reference_ms is None:
            reference_ms = float(np.median(theirs)) / 1e6
        wall = _flat(self._candidate.wall_ns)
        p50, p90, p99 = np.percentile(wall, [50, 90, 99]) / 1e6
        cpu_p50, cpu_p90 = np.percentile(_flat(self._candidate.cpu_ns), [50, 90]) / 1e6
        latency_ms = ratio.scaled(reference_ms)
        return Latency(
            ratio=ratio,
            latency_ms=latency_ms,
            p50_ms=float(p50),
            p90_ms=float(p90),
            p99_ms=float(p99) if len(wall) >= _RUNS_FOR_P99 else None,
            cpu_p50_ms=float(cpu_p50),
            cpu_p90_ms=float(cpu_p90),
            runs=len(wall),
            blocks=len(self._candidate.wall_ns),
            wall_over_cpu=self._candidate.wall_over_cpu(),
            basis=basis,
            throughput_per_s=1000.0 * self._batch_size / latency_ms.estimate,
        )

    def _with_tail(self, latency: Latency, confidence: float) -> Latency:
        """With the ratio of 90th percentiles, and that in ms.

        A block of a slow model is a run or two, of which no percentile tells anything: as many are
        taken together as hold enough runs of either model; all of them, where there are too few.
        """
        sides, basis = (self._candidate, self._reference), latency.basis
        count = len(self._candidate.wall_ns)
        together = min(max(math.ceil(_RUNS_FOR_P90 / side.runs) for side in sides), count)
        ours, theirs = (side.p90s(basis, together) for side in sides)
        ratio = ratio_interval(ours, theirs, confidence, _WATCHED)
        runs = _flat(self._reference.blocks(basis))
        over_median = float(np.percentile(runs, 90) / np.median(runs))
        reference_ms = latency.latency_ms.estimate / latency.ratio.estimate
        p90_latency_ms = ratio.scaled(over_median * reference_ms)
        return replace(latency, p90_ratio=ratio, p90_latency_ms=p90_latency_ms)


def _flat(blocks: Sequence[Sequence[int]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.concatenate([np.asarray(block, dtype=np.float64) for block in blocks])


def over_processes(found: Sequence[Latency], confidence: float = CONFIDENCE) -> Latency:
    """The latency of a model that was timed in several pairs of processes.

    Args:
        found: In each of them.
        confidence: Of the interval of the ratio, and of that of the latency.
    """
    first = found[0]
    # Not the ratio times one process of the source model: that would leave out how it varies.
    latency_ms = process_interval([one.latency_ms for one in found], confidence)
    tails = [one.p99_ms for one in found if one.p99_ms is not None]
    middle = ("p50_ms", "p90_ms", "cpu_p50_ms", "cpu_p90_ms", "wall_over_cpu")
    return replace(
        first,
        **{name: median(getattr(one, name) for one in found) for name in middle},
        ratio=process_interval([one.ratio for one in found], confidence),
        latency_ms=latency_ms,
        p99_ms=median(tails) if tails else None,
        runs=sum(one.runs for one in found),
        blocks=sum(one.blocks for one in found),
        basis="cpu" if any(one.basis == "cpu" for one in found) else "wall",
        throughput_per_s=first.throughput_per_s * first.latency_ms.estimate / latency_ms.estimate,
        processes=len(found),
        p90_ratio=_of_tails([one.p90_ratio for one in found], confidence),
        p90_latency_ms=_of_tails([one.p90_latency_ms for one in found], confidence),
    )


def _of_tails(found: Sequence[Interval | None], confidence: float) -> Interval | None:
    """Over processes, of which one may have too few runs to tell its own spread."""
    told = [one for one in found if one is not None]
    known = [one if one.high < math.inf else Interval(*(one.estimate,) * 3) for one in told]
    return process_interval(known, confidence) if known else None


def timed_in_pairs(
    measurement: Measurement,
    time_pair: Callable[[int], Latency],
    pairs: int = 5,
    confidence: float = CONFIDENCE,
) -> Measurement:
    """A measurement with the latency of several pairs of processes, whose spread is in it.

    Args:
        measurement: Of the model.
        time_pair: Latency in one pair, told how many there were.
        pairs: How many are timed.
        confidence: Of the intervals.
    """
    found = [time_pair(pair) for pair in range(pairs)]
    return replace(measurement, latency=over_processes(found, confidence))
