"""Judge by a user's function in a process of its own.

It may end, hang, print or take all memory there, and the search goes on. The process holds the
labels and the source model's outputs, so that a candidate's go to it once, however often the
metric is asked.
"""

import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from hamerspace import errors
from hamerspace.errors import MetricError, SessionError
from hamerspace.measure.child import GOING_ON, connect, serve
from hamerspace.measure.process import ChildProcess, surviving_a_fault
from hamerspace.measure.quality import Judge
from hamerspace.measure.statistics import CONFIDENCE
from hamerspace.outcome.measurement import Quality
from hamerspace.tasks.metrics.resolve import FunctionMetric
from hamerspace.tasks.metrics.rows import Rows
from hamerspace.tasks.reads import digests, noted_reads


@dataclass(frozen=True)
class JudgeLimits:
    """Of the process that judges.

    Attributes:
        timeout_s: Wall seconds that one call of the metric may take.
        memory_mb: Resident MB that the process may take.
        log: Receives what the metric prints.
    """

    timeout_s: float
    memory_mb: float
    log: Path


@dataclass(frozen=True)
class RemoteJudge(Judge):
    """A :class:`Judge` in a process of its own, which starts on first use. Close it when done.

    Beside :class:`MetricError` its methods raise :class:`SessionError`, where the process ended or
    met a limit; the next call starts another.

    Attributes:
        limits: Of the process.
    """

    limits: JudgeLimits = field(kw_only=True)
    _running: list["_JudgeProcess"] = field(default_factory=list, init=False, repr=False)

    def check(self) -> None:
        self._ask("check")

    @cached_property
    def first_look(self) -> int:
        return int(self._ask("first_look"))

    def judge_source(self, confidence: float = CONFIDENCE) -> Quality:
        found: Quality = self._ask("judge_source", confidence)
        return found

    def evidence(self, outputs: Rows, start: int = 0) -> Rows:  # noqa: ARG002
        return outputs  # what is to be judged goes there whole, with the request to judge it

    def conclude(
        self, evidence: Rows, confidence: float = CONFIDENCE, limit: float | None = None
    ) -> Quality:
        found: Quality = self._ask("judge", evidence, confidence, limit)
        return found

    def reads(self, root: Path) -> dict[str, str]:
        if not self._running:
            return {}
        found: dict[str, str] = self._ask("reads", root)
        return found

    def close(self) -> None:
        while self._running:
            self._running.pop().close()

    @surviving_a_fault
    def _ask(self, name: str, *arguments: Any) -> Any:
        try:
            if self._running and not self._running[0].alive:
                self.close()
            if not self._running:
                self._running.append(_JudgeProcess(self))
            return self._running[0].ask(name, *arguments)
        except SessionError as error:
            self.close()
            raise SessionError(f"metric '{self.metric.name}': {error}") from error


class _JudgeProcess(ChildProcess):
    def __init__(self, judge: RemoteJudge) -> None:
        import cloudpickle

        limits = judge.limits
        command = [sys.executable, "-P", "-m", "hamerspace.measure.judging"]
        try:
            metric = cloudpickle.dumps(judge.metric)
        except Exception as error:
            raise MetricError(
                f"metric '{judge.metric.name}' cannot be handed to a process of its own "
                f"({error!r}); give a function that holds on to plain values only"
            ) from error
        variables = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, "PYTHONUNBUFFERED": "1"}
        super().__init__(command, variables, limits.timeout_s, limits.memory_mb, limits.log)
        try:
            self._call("path", entries=sys.path)
            self._call(
                "open",
                metric=metric,
                labels=_by_path(judge.labels),
                source_outputs=_by_path(judge.source_outputs),
                rows_together=judge.rows_together,
            )
        except BaseException:
            self.close()
            raise

    def ask(self, name: str, *arguments: Any) -> Any:
        refused, value = self._call("ask", method=name, values=arguments)
        if refused:
            raise getattr(errors, refused, MetricError)(value)
        return value


class _JudgeHost:
    """Holds the judge in its process, and tells of every call of the metric that ended."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def path(self, entries: list[str]) -> None:
        """Find modules where the caller finds them."""
        sys.path[:] = entries

    def open(self, metric: bytes, labels: Any, source_outputs: Any, rows_together: int) -> None:
        import pickle

        self._noting = ExitStack()
        self._reads = self._noting.enter_context(noted_reads())
        loaded = pickle.loads(metric)  # noqa: S301 - from our own caller
        if isinstance(loaded, FunctionMetric):
            loaded = loaded.telling(lambda: self._connection.send((GOING_ON, None)))
        self._judge = Judge(loaded, _read(labels), _read(source_outputs), rows_together)

    def ask(self, method: str, values: tuple[Any, ...]) -> tuple[str, Any]:
        """Name of the error that was raised, if any, and its text or the value."""
        if method == "reads":
            return "", digests(set(self._reads), *values)
        try:
            found = getattr(self._judge, method)
            return "", found(*values) if callable(found) else found
        except errors.HamerspaceError as error:
            return type(error).__name__, str(error)


def _by_path(array: Rows | None) -> Any:
    """An array, or the file that holds it and nothing else."""
    if isinstance(array, Mapping):
        return {name: _by_path(one) for name, one in array.items()}
    name = getattr(array, "filename", None)
    if array is None or name is None or not str(name).endswith(".npy"):
        return array
    whole = np.load(name, mmap_mode="r")
    return str(name) if (whole.shape, whole.dtype) == (array.shape, array.dtype) else array


def _read(array: Any) -> Any:
    if isinstance(array, Mapping):
        return {name: _read(one) for name, one in array.items()}
    return np.load(array, mmap_mode="r") if isinstance(array, str) else array


if __name__ == "__main__":
    _connection = connect(int(sys.argv[1]))
    serve(_JudgeHost(_connection), _connection)
