"""Every metric of ours by the conformance suite."""

import numpy as np
import pytest

from hamerspace.tasks.metrics import METRICS
from hamerspace.testing.metrics import MetricConformance


class TestOurs(MetricConformance):
    @pytest.fixture(params=sorted(METRICS))
    def metric(self, request):
        return METRICS.load(request.param)

    @pytest.fixture
    def judged(self, metric):
        rng = np.random.default_rng(0)
        source = rng.standard_normal((60, 8))
        outputs = source + 0.3 * rng.standard_normal(source.shape)
        if metric.all_outputs:
            both = {"scores": outputs, "class": outputs.argmax(axis=1), "none": 0 * source}
            return both, {"scores": source, "class": source.argmax(axis=1), "none": 0 * source}
        if not metric.needs_labels:
            return outputs, source
        if metric.name in ("r2", "rmse", "mae"):
            return outputs, source
        classes = source.argmax(axis=1)
        if metric.name in ("roc_auc", "average_precision"):
            return outputs[:, :1], (source[:, 0] > 0).astype(int)
        return outputs, classes
