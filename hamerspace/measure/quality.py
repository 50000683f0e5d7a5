"""Quality of a candidate against the source model, paired row by row."""

import math
import time
from dataclasses import dataclass, field, replace
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
from hamerspace.tasks.metrics import Metric, check_metric, drop_points, drop_unit
from hamerspace.tasks.metrics.base import DropUnit
from hamerspace.tasks.metrics.spread import Spread

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
        source_outputs: The judged output of the source model, ``[N, ...]``.
        rows_together: Rows of a batch whose rows depend on one another; 1 where each stands alone.
    """

    metric: Metric
    labels: npt.NDArray[Any] | None
    source_outputs: npt.NDArray[Any]
    rows_together: int = 1
    _source_draws: dict[tuple[int, int], float] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def check(self) -> None:
        """Judge the source model, before any trial.

        Raises:
            MetricError: See :func:`~hamerspace.tasks.metrics.check_metric`.
        """
        try:
            check_metric(self._metric, self.source_outputs, self._truth)
        except MetricError as error:
            if not np.isinf(self.source_outputs).any():
                raise
            raise MetricError(
                f"{error}; outputs of the source model are infinite in places, which only a metric "
                "of their order can judge, such as 'agreement' or 'accuracy'"
            ) from error

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
        self,
        outputs: npt.NDArray[Any],
        confidence: float = CONFIDENCE,
        limit: float | None = None,
    ) -> Quality:
        """Quality on the first ``len(outputs)`` rows.

        Args:
            outputs: ``[n, ...]``.
            confidence: Of the drop's interval.
            limit: A drop that does not exceed it needs no bootstrap: nobody will act on its ends.

        Raises:
            MetricError: The metric raised or gave no finite number.
        """
        rows = len(outputs)
        truth = self._truth[:rows]
        source = self.source_outputs[:rows]
        whole = rows == len(self.source_outputs)
        value = self._metric.value(outputs, truth)
        source_value = self._source_value if whole else self._metric.value(source, truth)
        scores = self.scores(outputs)
        if scores is not None:
            found = self.judge_scores(scores, confidence)
            note = self._note(outputs) if whole else ""
            return replace(found, value=value, source_value=source_value, note=note)
        drop = self._bootstrapped(outputs, source, truth, confidence, limit)
        return Quality(value, source_value, drop, rows, len(self.source_outputs))

    def _note(self, outputs: npt.NDArray[Any]) -> str:
        """That parts of the output are dead, which a metric without labels may not show."""
        if not self.metric.uses_source_outputs or outputs.dtype.kind != "f" or len(outputs) < 2:
            return ""
        dead = self._spread.dead_in(Spread.of(outputs))
        if not dead:
            return ""
        return (
            f"DEAD CHANNELS: {' and '.join(dead)} of its output are the same in all rows, where "
            "they vary in the source model."
        )

    @cached_property
    def _spread(self) -> Spread:
        return Spread.of(self.source_outputs)

    def scores(self, outputs: npt.NDArray[Any], start: int = 0) -> Floats | None:
        """Each row's score, from row ``start`` on; ``None`` where the metric is no mean of them.

        Raises:
            MetricError: The metric raised or gave no finite numbers.
        """
        return self._metric.per_sample(outputs, self._truth[start : start + len(outputs)])

    def judge_scores(self, scores: Floats, confidence: float = CONFIDENCE) -> Quality:
        """Quality on the first ``len(scores)`` rows, from what :meth:`scores` gave."""
        metric, rows = self.metric, len(scores)
        assert self._source_scores is not None
        source = self._source_scores[:rows]
        theirs, ours = (source, scores) if metric.maximize else (scores, source)
        # Percent of the source's value on all rows: that of a few would add its own spread.
        whole = self._source_value
        points_per_unit = abs(drop_points(metric, whole, whole + 1.0, self._unit))
        drop = self._worst(theirs, ours, confidence).scaled(points_per_unit)
        of_rows = len(self.source_outputs)
        return Quality(metric.worst(scores), metric.worst(source), drop, rows, of_rows)

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
    def _metric(self) -> Metric:
        return self.metric.fitted(self.source_outputs)

    @cached_property
    def _truth(self) -> npt.NDArray[Any]:
        return self.source_outputs if self.labels is None else self.labels

    @cached_property
    def _source_scores(self) -> Floats | None:
        return self._metric.per_sample(self.source_outputs, self._truth)

    @cached_property
    def _source_value(self) -> float:
        return self._metric.value(self.source_outputs, self._truth)

    @cached_property
    def _unit(self) -> DropUnit:
        """Decided on all rows: on some of them the source model's value may look different."""
        return drop_unit(self.metric, self._source_value)

    def _bootstrapped(
        self,
        outputs: npt.NDArray[Any],
        source: npt.NDArray[Any],
        truth: npt.NDArray[Any],
        confidence: float,
        limit: float | None,
    ) -> Interval:
        metric, rows, known = self._metric, len(outputs), self._source_draws

        def drop(index: npt.NDArray[np.int64], number: int) -> float:
            # Every candidate meets the same draws, on which the source model is judged once.
            if (rows, number) not in known:
                known[rows, number] = metric.value(source[index], truth[index])
            after = metric.value(outputs[index], truth[index])
            return drop_points(metric, known[rows, number], after, self._unit)

        if limit is not None and (found := drop(np.arange(rows), 0)) <= limit:
            return Interval(found, -math.inf, math.inf)
        stray = float(self._reach[0]) * self.rows_together / rows
        return bootstrap_interval(
            drop,
            rows,
            confidence,
            self._resamples,
            together=self.rows_together,
            stray=stray,
        )

    @cached_property
    def _resamples(self) -> int:
        """Fewer where the metric takes long, of which every resample asks it twice."""
        began = time.monotonic()
        self._metric.value(self.source_outputs, self._truth)
        return RESAMPLES if time.monotonic() - began < _SLOW_S else RESAMPLES_OF_SLOW

    @cached_property
    def _reach(self) -> Floats:
        """What the answer to another row costs a row, above 0.

        In the unit of the scores, in the mean, where the metric is their mean; else in points, the
        root mean square, times the rows.
        """
        metric, source, truth = self._metric, self.source_outputs, self._truth
        rng, rows = np.random.default_rng(0), len(source)
        if self._source_scores is not None:
            others = rng.permutation(min(rows, _MOST_EXCHANGED))
            kept = slice(len(others))
            exchanged = metric.per_sample(source[others], truth[kept])
            assert exchanged is not None
            gaps = exchanged - self._source_scores[kept]
            lost, count = np.abs(gaps).sum(axis=0), np.count_nonzero(gaps, axis=0)
            return np.atleast_1d(np.where(count, lost / np.maximum(count, 1), 1.0))
        changes, outputs = [], np.array(source)
        for row, other in rng.integers(0, rows, (_EXCHANGES, 2)):
            outputs[row] = source[other]
            after = metric.value(outputs, truth)
            changes.append(drop_points(metric, self._source_value, after, self._unit))
            outputs[row] = source[row]
        return np.array([rows * float(np.sqrt(np.mean(np.square(changes)))) or 100.0])

    def _paired(
        self, source: Floats, candidate: Floats, confidence: float, group: int = 0
    ) -> Interval:
        """Of rows that depend on one another, the batches are the independent draws."""
        together, of_rows = self.rows_together, len(self.source_outputs)
        reach = float(self._reach[group]) / together
        if len(source) < of_rows and self._source_scores is not None:
            scores = [self._source_scores.reshape(of_rows, -1)[:, group], source, candidate]
            reach = float(np.ptp(np.concatenate([_means(one, together) for one in scores])))
        return paired_difference(_means(source - candidate, together), reach, confidence)


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
