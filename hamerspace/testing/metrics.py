"""The conformance suite of metrics: whatever passes it can judge a study.

A plug-in's tests subclass :class:`MetricConformance`, which needs pytest, with two fixtures::

    class TestMyMetric(MetricConformance):
        @pytest.fixture
        def metric(self):
            return METRIC

        @pytest.fixture
        def judged(self):
            return outputs, labels  # of 20 rows or more, most of them right
"""

from typing import Any

import numpy as np
import pytest

from hamerspace.errors import MetricError
from hamerspace.tasks.metrics import Metric
from hamerspace.tasks.metrics.rows import Array, joined, row_count, take


class MetricConformance:
    """Tests that every metric must pass; see the module for how to use it."""

    @pytest.fixture
    def metric(self) -> Metric:
        """Return the metric under test."""
        raise NotImplementedError("subclasses define the fixture 'metric'")

    @pytest.fixture
    def judged(self) -> tuple[Any, Array]:
        """Return good outputs, and the labels or the source model's outputs beside them."""
        raise NotImplementedError("subclasses define the fixture 'judged'")

    def test_it_takes_what_it_judges(self, metric: Metric, judged: tuple[Any, Array]) -> None:
        outputs, reference = judged
        assert metric.direction in ("maximize", "minimize")
        if not metric.all_outputs:
            labels = reference if metric.needs_labels else None
            metric.check((None, *outputs.shape[1:]), labels, outputs.dtype.name)

    def test_a_part_at_a_time_comes_to_the_same(
        self, metric: Metric, judged: tuple[Any, Array]
    ) -> None:
        outputs, reference = judged
        fitted = metric if metric.needs_labels else metric.fitted(reference)
        slices = [slice(at, at + 7) for at in range(0, row_count(outputs), 7)]
        parts = [fitted.evidence(take(outputs, one), take(reference, one)) for one in slices]
        value, scores = fitted.combine(joined(parts))
        assert value == pytest.approx(metric.score(outputs, reference))
        if scores is not None:
            means = np.atleast_1d(scores.mean(axis=0))
            assert len(scores) == row_count(outputs)
            assert value == pytest.approx(means.min() if metric.maximize else means.max())

    def test_the_order_of_the_rows_says_nothing(
        self, metric: Metric, judged: tuple[Any, Array]
    ) -> None:
        order = np.random.default_rng(0).permutation(row_count(judged[0]))
        shuffled = metric.score(take(judged[0], order), take(judged[1], order))
        assert shuffled == pytest.approx(metric.score(*judged))

    def test_outputs_of_other_rows_are_worse(
        self, metric: Metric, judged: tuple[Any, Array]
    ) -> None:
        outputs, reference = judged
        others = np.roll(np.arange(row_count(outputs)), 1)
        good, bad = metric.score(outputs, reference), metric.score(take(outputs, others), reference)
        assert good > bad if metric.maximize else good < bad

    def test_other_numbers_of_rows_are_refused(
        self, metric: Metric, judged: tuple[Any, Array]
    ) -> None:
        with pytest.raises(MetricError):
            metric.score(judged[0], take(judged[1], slice(1, None)))
