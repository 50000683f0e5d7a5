"""Quality of a candidate against the source model, paired row by row."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hamerspace.errors import MetricError
from hamerspace.measure.statistics import (
    CONFIDENCE,
    Floats,
    bootstrap_interval,
    paired_difference,
)
from hamerspace.outcome.interval import Interval
from hamerspace.outcome.measurement import Quality
from hamerspace.tasks.metrics import Metric, drop_points, drop_unit
from hamerspace.tasks.metrics.base import DropUnit
from hamerspace.tasks.metrics.rows import Rows, blocks, joined, row_count, take
from hamerspace.tasks.metrics.spread import Moments, Spread

FIRST_LOOK = 100
FIRST_LOOK_OF_NO_MEAN = 200
GROWTH = 4.0
RESAMPLES, RESAMPLES_OF_SLOW = 200, 50
_SLOW_S = 0.5
_MOST_EXCHANGED = 256
_EXCHANGES = 32
# Groups with an interval worked out, of those that lie highest: so many standard errors up.
_MOST_GROUPS, _FAR = 32, 4.0


@dataclass(frozen=True)
class Judge:
    """Compares outputs with labels, and with what the source model gave on the same rows.

    Attributes:
        metric: What quality means.
        labels: ``[N, ...]``, or ``None`` where the source model's outputs take their place.
        source_outputs: The judged output of the source model, ``[N, ...]``, or a mapping of output
            name to such for a metric of all outputs. They may be mapped into memory: a few rows are
            held at a time, but for a metric that looks at all at once.
        rows_together: Rows of a batch whose rows depend on one another; 1 where each stands alone.
    """

    metric: Metric
    labels: npt.NDArray[Any] | None
    source_outputs: Rows
    rows_together: int = 1

    def check(self) -> None:
        """Judge the source model, before any trial.

        Raises:
            MetricError: The metric fails on the source model, gives different values for the same
                outputs, or its relative drop has no meaning.
        """
        try:
            value = self._source_value
            again, _ = self._fitted.combine(self.evidence(self.source_outputs))
            drop_points(self.metric, value, value)
        except MetricError as error:
            if self.source_is_finite:
                raise
            raise MetricError(
                f"{error}; outputs of the source model are infinite in places, which only a metric "
                "of their order can judge, such as 'agreement' or 'accuracy'"
            ) from error
        if not math.isclose(value, again, rel_tol=1e-6, abs_tol=1e-9):
            raise MetricError(
                f"metric '{self.metric.name}' gave {value} and then {again} for the same outputs; "
                "it must be deterministic (seed what it draws)"
            )

    @cached_property
    def source_is_finite(self) -> bool:
        """Whether the source model never gives infinity."""
        found = self.source_outputs
        arrays = found.values() if isinstance(found, Mapping) else [found]
        return all(np.isfinite(one[block]).all() for one in arrays for block in blocks(one))

    def reads(self, root: Path) -> dict[str, str]:  # noqa: ARG002 - our metrics read nothing
        """Path from ``root`` to digest, of what a metric of the user's has read below it."""
        return {}

    def close(self) -> None:
        """End what judges, where that is another process."""

    @cached_property
    def first_look(self) -> int:
        """Rows from which on a part of the split can be judged with known errors.

        The interval of a mean holds from few rows on; a bootstrap needs more, as it knows no class
        that it met only once or twice.
        """
        return FIRST_LOOK if self._source_scores is not None else FIRST_LOOK_OF_NO_MEAN

    def judge(
        self, outputs: Rows, confidence: float = CONFIDENCE, limit: float | None = None
    ) -> Quality:
        """Quality on the first rows by the outputs for these, see :meth:`Answers.judge`."""
        answers = Answers(self)
        answers.add(outputs)
        return answers.judge(answers.rows, confidence, limit)

    def judge_source(self, confidence: float = CONFIDENCE) -> Quality:
        """Quality of a candidate that answers each row as the source model does."""
        return self.conclude(self._source_evidence, confidence)

    def evidence(self, outputs: Rows, start: int = 0) -> Rows:
        """What the metric makes of some rows.

        Args:
            outputs: As ``source_outputs``, of these rows, without NaN.
            start: The first of these rows.

        Raises:
            MetricError: The metric raised.
        """
        return self._evidence(outputs, take(self._truth, slice(start, start + row_count(outputs))))

    def conclude(
        self, evidence: Rows, confidence: float = CONFIDENCE, limit: float | None = None
    ) -> Quality:
        """Quality on the first rows, from what :meth:`evidence` gave of all of them.

        Args:
            evidence: Of these rows.
            confidence: Of the drop's interval.
            limit: A drop that does not exceed it needs no bootstrap: nobody will act on its ends.

        Raises:
            MetricError: The metric raised or gave no finite number.
        """
        metric, rows = self.metric, row_count(evidence)
        value, scores = self._fitted.combine(evidence)
        source_value, source = self._source(rows)
        if scores is not None and source is not None:
            theirs, ours = (source, scores) if metric.maximize else (scores, source)
            # Percent of the source's value on all rows: that of a few would add its own spread.
            whole = self._source_value
            points_per_unit = abs(drop_points(metric, whole, whole + 1.0, self._unit))
            drop = self._worst(theirs, ours, confidence).scaled(points_per_unit)
        else:
            estimate = drop_points(metric, source_value, value, self._unit)
            drop = self._bootstrapped(evidence, estimate, confidence, limit)
        return Quality(value, source_value, drop, rows, self._of_rows)

    @cached_property
    def spread(self) -> Spread | None:
        """Of the source model's output, where it stands in for labels, which would show a loss."""
        outputs = self.source_outputs
        if isinstance(outputs, Mapping) or self.metric.needs_labels:
            return None
        return Spread.of(outputs) if outputs.dtype.kind == "f" else None

    def _worst(self, source: Floats, candidate: Floats, confidence: float) -> Interval:
        """The greatest difference of any group, within ends that hold for all of them at once.

        Each group's interval has its share of the error (Bonferroni's inequality), so that the
        greatest of the lower ends and that of the upper ends hold the greatest true difference.
        """
        if source.ndim == 1:
            return self._paired(source, candidate, confidence)
        differences = source - candidate
        rows = len(source)
        error = np.hypot(differences.std(axis=0) / math.sqrt(rows), self._reach / rows)
        reach = differences.mean(axis=0) + _FAR * error
        each = 1 - (1 - confidence) / source.shape[1]
        found = [
            self._paired(source[:, group], candidate[:, group], each, group)
            for group in np.argsort(-reach, kind="stable")[:_MOST_GROUPS]
        ]
        return Interval(
            float(differences.mean(axis=0).max()),
            max(interval.low for interval in found),
            max(interval.high for interval in found),
        )

    @cached_property
    def _fitted(self) -> Metric:
        return self.metric.fitted(self.source_outputs)

    @cached_property
    def _truth(self) -> Rows:
        return self.source_outputs if self.labels is None else self.labels

    @property
    def _of_rows(self) -> int:
        return row_count(self.source_outputs)

    def _evidence(
        self, outputs: Rows, truth: Rows, order: npt.NDArray[np.int64] | None = None
    ) -> Rows:
        """Of outputs in another order, so far as they are given one."""

        def part(block: slice) -> Rows:
            chosen = take(outputs, block if order is None else order[block])
            return self._fitted.evidence(chosen, take(truth, block))

        if self.metric.keeps_rows:
            return part(slice(None))
        found: Rows = joined([part(block) for block in blocks(outputs, row_count(truth))])
        return found

    @cached_property
    def _source_evidence(self) -> Rows:
        return self.evidence(self.source_outputs)

    @cached_property
    def _known(self) -> dict[tuple[int, int], tuple[float, Floats | None]]:
        return {}

    def _source(self, rows: int, number: int = 0, index: Any = None) -> tuple[float, Floats | None]:
        """The source model's value, and its scores where it is their mean.

        Args:
            rows: The first rows of the split.
            number: Of a draw from them; every candidate meets the same. 0 is all of them in order.
            index: Of the rows that are drawn.
        """
        if (rows, number) not in self._known:
            part = take(self._source_evidence, slice(rows) if index is None else index)
            self._known[rows, number] = self._fitted.combine(part)
        return self._known[rows, number]

    @property
    def _source_scores(self) -> Floats | None:
        return self._source(self._of_rows)[1]

    @property
    def _source_value(self) -> float:
        return self._source(self._of_rows)[0]

    @cached_property
    def _unit(self) -> DropUnit:
        """Decided on all rows: on some of them the source model's value may look different."""
        return drop_unit(self.metric, self._source_value)

    def _bootstrapped(
        self, evidence: Rows, estimate: float, confidence: float, limit: float | None
    ) -> Interval:
        if limit is not None and estimate <= limit:
            return Interval(estimate, -math.inf, math.inf)
        rows = row_count(evidence)

        def drop(index: npt.NDArray[np.int64], number: int) -> float:
            if not number:
                return estimate
            before, _ = self._source(rows, number, index)
            after, _ = self._fitted.combine(take(evidence, index))
            return drop_points(self.metric, before, after, self._unit)

        return bootstrap_interval(
            drop,
            rows,
            confidence,
            self._resamples,
            together=self.rows_together,
            stray=float(self._reach[0]) * self.rows_together / rows,
        )

    @cached_property
    def _resamples(self) -> int:
        """Fewer where the metric takes long, of which every resample asks it twice."""
        began = time.monotonic()
        self._fitted.combine(self._source_evidence)
        return RESAMPLES if time.monotonic() - began < _SLOW_S else RESAMPLES_OF_SLOW

    @cached_property
    def _reach(self) -> Floats:
        """What the answer to another row costs a row, above 0.

        In the unit of the scores, in the mean, where the metric is their mean; else in points, the
        root mean square, times the rows.
        """
        source, truth = self.source_outputs, self._truth
        rng, rows = np.random.default_rng(0), self._of_rows
        if self._source_scores is not None:
            others = rng.permutation(min(rows, _MOST_EXCHANGED))
            kept = slice(len(others))
            exchanged = self._fitted.combine(self._evidence(source, take(truth, kept), others))[1]
            assert exchanged is not None
            gaps = exchanged - self._source_scores[kept]
            lost, count = np.abs(gaps).sum(axis=0), np.count_nonzero(gaps, axis=0)
            return np.atleast_1d(np.where(count, lost / np.maximum(count, 1), 1.0))
        changes = []
        places, others = rng.integers(0, rows, (_EXCHANGES, 2)).T
        both = joined([self._source_evidence, self._evidence(source, take(truth, places), others)])
        for number, place in enumerate(places):
            order = np.arange(rows)
            order[place] = rows + number
            after = self._fitted.combine(take(both, order))[0]
            changes.append(drop_points(self.metric, self._source_value, after, self._unit))
        return np.array([rows * float(np.sqrt(np.mean(np.square(changes)))) or 100.0])

    def _paired(
        self, source: Floats, candidate: Floats, confidence: float, group: int = 0
    ) -> Interval:
        """Of rows that depend on one another, the batches are the independent draws."""
        together, of_rows = self.rows_together, self._of_rows
        reach = float(self._reach[group]) / together
        if len(source) < of_rows:
            assert self._source_scores is not None
            scores = [self._source_scores.reshape(of_rows, -1)[:, group], source, candidate]
            reach = float(np.ptp(np.concatenate([_means(one, together) for one in scores])))
        return paired_difference(_means(source - candidate, together), reach, confidence)


class Answers:
    """What one model answers to the rows of a split, as evidence: they come a part at a time.

    Args:
        judge: Of the split.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._parts: list[Rows] = []
        self._moments = Moments()
        self.rows = 0
        """How many there are."""

    def add(self, outputs: Rows) -> None:
        """Take in the answers to the next rows, as :meth:`Judge.evidence` does.

        Raises:
            MetricError: The metric raised.
        """
        self._parts.append(self._judge.evidence(outputs, self.rows))
        if self._judge.spread is not None and not isinstance(outputs, Mapping):
            self._moments.add(outputs)
        self.rows += row_count(outputs)

    def judge(
        self, rows: int, confidence: float = CONFIDENCE, limit: float | None = None
    ) -> Quality:
        """Quality on the first ``rows`` rows, see :meth:`Judge.conclude`."""
        self._parts = [joined(self._parts)]
        found = self._judge.conclude(take(self._parts[0], slice(rows)), confidence, limit)
        return replace(found, note=self._note()) if rows == found.of_rows else found

    def _note(self) -> str:
        """That parts of the output are dead, which a metric without labels may not show."""
        if self._judge.spread is None or self.rows < 2:
            return ""
        dead = self._judge.spread.dead_in(self._moments.spread())
        if not dead:
            return ""
        return (
            f"DEAD CHANNELS: {' and '.join(dead)} of its output are the same in all rows, where "
            "they vary in the source model."
        )


def _means(scores: Floats, together: int) -> Floats:
    """Means of consecutive groups; the last may be smaller."""
    if together == 1:
        return scores
    starts = np.arange(0, len(scores), together)
    counts = np.diff(starts, append=len(scores))
    means: Floats = np.add.reduceat(scores, starts) / counts
    return means


def looks(
    rows: int, batch_size: int = 1, smallest: int = FIRST_LOOK, growth: float = GROWTH
) -> tuple[int, ...]:
    """Row counts at which a growing part is looked at, until all ``rows`` are seen.

    They are whole batches, as a recurrent model's rows depend on those before in their batch.
    """
    counts, count = [], float(smallest)
    while (whole := -(-int(count) // batch_size) * batch_size) < rows:
        if whole not in counts:
            counts.append(whole)
        count *= growth
    return (*counts, rows)
