"""Quality of a candidate against the source model, paired row by row."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from hamerspace.measure.measurement import Quality
from hamerspace.measure.statistics import (
    CONFIDENCE,
    Floats,
    Interval,
    bootstrap_interval,
    paired_difference,
    student_interval,
)
from hamerspace.tasks.metrics import Metric, drop_points, drop_unit
from hamerspace.tasks.metrics.base import DropUnit


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

    def judge(self, outputs: npt.NDArray[Any], confidence: float = CONFIDENCE) -> Quality:
        """Quality on the first ``len(outputs)`` rows.

        Raises:
            MetricError: The metric raised or gave no finite number.
        """
        rows = len(outputs)
        source = self.source_outputs[:rows]
        truth = source if self.labels is None else self.labels[:rows]
        value, source_value = self.metric.value(outputs, truth), self.metric.value(source, truth)
        return Quality(
            value=value,
            source_value=source_value,
            drop=self._drop(outputs, source, truth, source_value, confidence),
            rows=rows,
            of_rows=len(self.source_outputs),
        )

    @cached_property
    def _unit(self) -> DropUnit:
        """Decided on all rows: on some of them the source model's value may look different."""
        truth = self.source_outputs if self.labels is None else self.labels
        return drop_unit(self.metric, self.metric.value(self.source_outputs, truth))

    def _drop(
        self,
        outputs: npt.NDArray[Any],
        source: npt.NDArray[Any],
        truth: npt.NDArray[Any],
        source_value: float,
        confidence: float,
    ) -> Interval:
        metric = self.metric
        ours, theirs = metric.per_sample(outputs, truth), metric.per_sample(source, truth)
        if ours is not None and theirs is not None:
            if not metric.maximize:
                ours, theirs = theirs, ours
            points_per_unit = abs(drop_points(metric, source_value, source_value + 1.0, self._unit))
            return self._paired(theirs, ours, confidence).scaled(points_per_unit)

        def drop(index: npt.NDArray[np.int64]) -> float:
            before = metric.value(source[index], truth[index])
            after = metric.value(outputs[index], truth[index])
            return drop_points(metric, before, after, self._unit)

        return bootstrap_interval(drop, len(outputs), confidence, together=self.rows_together)

    def _paired(self, source: Floats, candidate: Floats, confidence: float) -> Interval:
        """Of rows that depend on one another, the batches are the independent draws."""
        alone = paired_difference(source, candidate, confidence)
        if self.rows_together == 1:
            return alone
        starts = np.arange(0, len(source), self.rows_together)
        counts = np.diff([*starts, len(source)])
        means = np.add.reduceat(source - candidate, starts) / counts
        batches = student_interval(means, confidence)
        # Where no batch differs the second knows no spread at all, and the first knows better.
        return batches if batches.half_width > alone.half_width else alone


def looks(rows: int, batch_size: int = 1, smallest: int = 200) -> tuple[int, ...]:
    """Row counts at which a growing subset is looked at: doubled until all ``rows`` are seen.

    They are whole batches, as a recurrent model's rows depend on those before in their batch.
    """
    counts = []
    count = -(-smallest // batch_size) * batch_size
    while count < rows:
        counts.append(count)
        count *= 2
    return (*counts, rows)


def look_confidence(looks_count: int, confidence: float = CONFIDENCE) -> float:
    """Confidence of one look so that all of them together keep ``confidence`` (Bonferroni)."""
    return 1 - (1 - confidence) / max(looks_count, 1)
