"""The order of measuring one candidate: the cheapest gate first, ended once its fate is clear."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hamerspace._numbers import amount, number
from hamerspace.backends.base import Candidate
from hamerspace.constraints import Constraints
from hamerspace.errors import MetricError, SessionError
from hamerspace.measure.latency import LatencyPlan, LatencyRun
from hamerspace.measure.measurement import Gate, Latency, Measurement, Quality
from hamerspace.measure.process import ModelProcess
from hamerspace.measure.quality import Judge, look_confidence, looks
from hamerspace.measure.size import download_bytes


@dataclass(frozen=True)
class EvaluationSet:
    """A split on disk, and the judge of what a model makes of it.

    Attributes:
        inputs: Input name to the path of its ``.npy`` file.
        rows: Number of rows.
        judge: Knows the labels and the source model's outputs.
        output: Name of the judged output.
    """

    inputs: dict[str, str]
    rows: int
    judge: Judge
    output: str


@dataclass(frozen=True)
class MeasurementPlan:
    """What to measure and when to stop.

    Attributes:
        data: The split to evaluate on.
        batch_size: The deployment batch size.
        constraints: Limits; with ``gated`` they end the measuring early.
        gated: Whether a limit that is clearly missed ends the measuring.
        reference_ms: The source model's latency in this study.
        short: Latency plan of the gate.
        full: Latency plan of what passes.
        download: Whether to measure the download size too.
    """

    data: EvaluationSet
    batch_size: int
    constraints: Constraints
    reference_ms: float
    gated: bool = True
    short: LatencyPlan = field(default_factory=lambda: LatencyPlan(0.1, 0.5, 0.0))
    full: LatencyPlan = field(default_factory=LatencyPlan)
    download: bool = False


class _Ended(Exception):  # noqa: N818 - not an error: a gate has decided
    def __init__(self, gate: Gate, reason: str) -> None:
        super().__init__(reason)
        self.gate = gate


class Protocol:
    """Measures one candidate beside a running source model.

    Args:
        plan: What to measure.
        reference: Process of the source model, loaded.
        start: Starts a bare process for the candidate.
        threads: Threads of one inference.
    """

    def __init__(
        self,
        plan: MeasurementPlan,
        reference: ModelProcess,
        start: Callable[[], ModelProcess],
        threads: int,
    ) -> None:
        self._plan = plan
        self._reference = reference
        self._start = start
        self._threads = threads
        self._seconds: dict[str, float] = {}
        self._found = Measurement(Gate.COMPLETE)

    def measure(self, candidate: Candidate) -> Measurement:
        """Return what was observed; a crash, a hang or bad output is an observation."""
        try:
            self._size(candidate)
            with self._timed("start"):
                process = self._start()
            with process:
                self._steps(process, candidate)
        except _Ended as end:
            self._found = replace(self._found, ended_at=end.gate, reason=str(end))
        except (SessionError, MetricError) as error:
            step = next(reversed(self._seconds), "start")
            gate = Gate.LOAD if step in ("start", "load") else Gate(step)
            self._found = replace(self._found, ended_at=gate, reason=str(error), failed=True)
        return replace(self._found, seconds=dict(self._seconds))

    def _steps(self, process: ModelProcess, candidate: Candidate) -> None:
        plan = self._plan
        with self._timed("load"):
            loaded = process.load(candidate, plan.data.inputs, plan.batch_size)
        self._found = replace(
            self._found,
            load_time_ms=loaded["load_time_ms"],
            peak_memory_mb=loaded["peak_memory_mb"],
        )
        self._limit(Gate.MEMORY, loaded["peak_memory_mb"], plan.constraints.max_memory_mb, "MB")
        with self._timed("latency"):
            run = LatencyRun(
                process, self._reference, self._threads, plan.reference_ms, plan.batch_size
            )
            self._short_latency(run)
        with self._timed("quality"):
            self._quality(process)
        with self._timed("latency"):
            self._found = replace(self._found, latency=run.extend(plan.full))

    def _size(self, candidate: Candidate) -> None:
        size_mb = candidate.size_bytes / 1e6
        self._found = replace(self._found, size_mb=size_mb)
        self._seconds["size"] = 0.0
        self._limit(Gate.SIZE, size_mb, self._plan.constraints.max_size_mb, "MB")
        if self._plan.download:
            with self._timed("download"):
                download_mb = download_bytes(candidate) / 1e6
            self._found = replace(self._found, download_mb=download_mb)
            limit = self._plan.constraints.max_download_mb
            self._limit(Gate.DOWNLOAD, download_mb, limit, "MB")

    def _limit(self, gate: Gate, value: float, limit: float | None, unit: str) -> None:
        if self._plan.gated and limit is not None and value > limit:
            raise _Ended(
                gate, f"{gate} {number(value)} {unit} is over the limit of {limit:g} {unit}"
            )

    def _short_latency(self, run: LatencyRun) -> None:
        limit = self._plan.constraints.max_latency_ms
        if not self._plan.gated or limit is None:
            return
        latency: Latency = run.extend(
            self._plan.short, lambda ms: ms.low > limit or ms.high < limit
        )
        self._found = replace(self._found, latency=latency)
        if latency.latency_ms.low > limit:
            raise _Ended(
                Gate.LATENCY,
                f"latency {amount('latency_ms', latency.latency_ms.estimate)} is over the limit of "
                f"{limit:g} ms",
            )

    def _quality(self, process: ModelProcess) -> None:
        plan, data = self._plan, self._plan.data
        limit = plan.constraints.max_accuracy_drop
        gated = plan.gated and limit is not None
        counts = looks(data.rows, plan.batch_size) if gated else (data.rows,)
        parts: list[npt.NDArray[Any]] = []
        start = 0
        for count in counts:
            part = process.evaluate(data.inputs, plan.batch_size, start, count, data.output)
            _refuse_bad_output(part, data.judge.source_outputs, data.output)
            parts.append(part)
            start = count
            confidence = look_confidence(len(counts)) if gated else look_confidence(1)
            try:
                quality: Quality = data.judge.judge(np.concatenate(parts), confidence)
            except MetricError:
                if count < data.rows:
                    continue  # too few rows to judge yet: a class may be missing
                raise
            self._found = replace(self._found, quality=quality)
            if gated and limit is not None and quality.drop.low > limit and count < data.rows:
                raise _Ended(
                    Gate.QUALITY,
                    f"drop of {quality.drop.estimate:.3g} after {count:,} of {data.rows:,} rows "
                    f"is over the limit of {limit:g}",
                )
        if gated:
            self._found = replace(self._found, quality=data.judge.judge(np.concatenate(parts)))

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        self._seconds[step] = self._seconds.pop(step, 0.0)
        started = time.monotonic()
        try:
            yield
        finally:
            self._seconds[step] += time.monotonic() - started


def _refuse_bad_output(part: npt.NDArray[Any], source: npt.NDArray[Any], name: str) -> None:
    if part.shape[1:] != source.shape[1:]:
        raise SessionError(
            f"output '{name}' has shape {part.shape[1:]} where the source gives {source.shape[1:]}"
        )
    if not np.all(np.isfinite(part)):
        raise SessionError(f"output '{name}' holds values that are not finite")
