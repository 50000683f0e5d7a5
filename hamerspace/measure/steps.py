"""The steps of measuring one candidate, whoever takes them: a process, or a table of old ones."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic

import numpy as np

from hamerspace.backends.candidate import Candidate
from hamerspace.errors import SessionError
from hamerspace.measure.latency import LatencyPlan, LatencyRun
from hamerspace.measure.outputs import OutputReader, Readable
from hamerspace.measure.quality import Answers, Judge
from hamerspace.measure.runner import Runner
from hamerspace.measure.size import deflated_bytes
from hamerspace.outcome.interval import Interval
from hamerspace.outcome.measurement import Latency, Quality
from hamerspace.tasks.metrics.rows import Rows
from hamerspace.tasks.model import Arrays

Clear = Callable[[Interval], bool]
"""Told the interval of the latency in ms; true where the measuring can end at once."""


class Steps(ABC):
    """What can be observed of one candidate, cheapest first. Close it when done.

    Every step may raise :class:`~hamerspace.errors.SessionError`: the candidate crashed, hung or
    gave what cannot be used.
    """

    @abstractmethod
    def now_s(self) -> float:
        """Seconds on the clock that the steps take their time from."""

    @abstractmethod
    def size_mb(self) -> float:
        """MB of every file that the runtime needs."""

    @abstractmethod
    def download_mb(self) -> float:
        """MB of the same files under deflate."""

    @abstractmethod
    def start(self) -> None:
        """Start what runs the candidate; the steps below need it."""

    @abstractmethod
    def load(self) -> tuple[float, float]:
        """Load time in ms, and peak resident MB over the bare runtime."""

    @abstractmethod
    def latency(self, plan: LatencyPlan, clear: Clear | None = None) -> Latency:
        """Time the candidate until the plan is met; what was timed before counts."""

    @abstractmethod
    def quality(self, rows: int, confidence: float, limit: float | None = None) -> Quality:
        """Judge the first ``rows`` rows; what was run before is not run again.

        The ends of a drop that does not exceed ``limit`` may be left unknown.

        Raises:
            MetricError: The metric cannot judge these rows.
        """

    @abstractmethod
    def close(self) -> None:
        """End what :meth:`start` started."""


@dataclass(frozen=True)
class EvaluationSet:
    """A split on disk, and the judge of what a model makes of it.

    Attributes:
        inputs: Input name to the path of its ``.npy`` file.
        rows: Number of rows.
        judge: Knows the labels and the source model's outputs.
        outputs: Names of those that the metric looks at, the judged one first.
    """

    inputs: dict[str, str]
    rows: int
    judge: Judge
    outputs: tuple[str, ...]


class LiveSteps(Steps):
    """A candidate in a runner of its own, which these steps close.

    Args:
        candidate: What is measured.
        data: The rows to judge it on.
        batch_size: The deployment batch size.
        start: Starts a runner for the candidate.
        put: Brings the candidate to where runners load it.
        time: Begins to time a runner beside the source model's.
    """

    def __init__(
        self,
        candidate: Candidate,
        data: EvaluationSet,
        batch_size: int,
        start: Callable[[], Runner],
        put: Callable[[Candidate], Candidate],
        time: Callable[[Runner], LatencyRun],
    ) -> None:
        self._candidate = candidate
        self._data = data
        self._batch_size = batch_size
        self._start = start
        self._put = put
        self._time = time
        self._runner: Runner | None = None
        self._timing: LatencyRun | None = None
        self._reader: OutputReader | None = None
        self._answers = Answers(data.judge)

    def now_s(self) -> float:
        return monotonic()

    def size_mb(self) -> float:
        return self._candidate.size_bytes / 1e6

    def download_mb(self) -> float:
        return deflated_bytes(self._candidate) / 1e6

    def start(self) -> None:
        self._runner = self._start()

    def load(self) -> tuple[float, float]:
        there = self._put(self._candidate)
        loaded = self._running.load(there, self._data.inputs, self._batch_size)
        return loaded["load_time_ms"], loaded["peak_memory_mb"]

    def latency(self, plan: LatencyPlan, clear: Clear | None = None) -> Latency:
        if self._timing is None:
            self._timing = self._time(self._running)
        return self._timing.extend(plan, clear)

    def quality(self, rows: int, confidence: float, limit: float | None = None) -> Quality:
        self.run(rows)
        return self._answers.judge(rows, confidence, limit)

    def run(self, rows: int) -> None:
        """Run the first ``rows`` rows, as far as they were not run before."""
        judge, judged = self._data.judge, self._data.outputs[0]
        source, several = judge.source_outputs, judge.metric.all_outputs
        for part in self._read(rows):
            _refuse_unfit(part, source if several else {judged: source}, judge)
            self._answers.add(part if several else part[judged])

    def _read(self, rows: int) -> Iterator[Arrays]:
        if self._reader is None:
            self._reader = self._new_reader(large=True)
        try:
            yield from self._reader.read(self._answers.rows, rows)
        except SessionError:
            if not self._reader.was_larger:
                raise
        else:
            return
        # A larger batch than deployed ended it: too much memory, say. What was timed is lost too.
        self.close()
        self._timing = None
        self.start()
        self.load()
        self._reader = self._new_reader(large=False)
        yield from self._reader.read(self._answers.rows, rows)

    def _new_reader(self, *, large: bool) -> OutputReader:
        readable = Readable(self._data.inputs, self._batch_size, self._data.outputs)
        return OutputReader(self._running, readable, self._candidate.inputs, large=large)

    def close(self) -> None:
        if self._runner is not None:
            self._runner.close()

    @property
    def _running(self) -> Runner:
        if self._runner is None:
            raise SessionError("the candidate was not started")
        return self._runner


def _refuse_unfit(part: Arrays, source: Rows, judge: Judge) -> None:
    for name, array in part.items():
        wanted = source[name].shape[1:]
        if array.shape[1:] != wanted:
            raise SessionError(
                f"output '{name}' has shape {array.shape[1:]} where the source gives {wanted}"
            )
        # Infinities are for the metric to judge where the source model gives some too.
        if not np.isfinite(array).all() and (np.isnan(array).any() or judge.source_is_finite):
            raise SessionError(f"output '{name}' holds values that are not finite")
