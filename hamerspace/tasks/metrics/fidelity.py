"""Metrics without labels: how close the outputs stay to those of the source model."""

from typing import Any

import numpy as np

from hamerspace.errors import MetricError
from hamerspace.tasks.metrics.base import Array, Metric, PerSample
from hamerspace.tasks.metrics.regression import flat_pair


class _Fidelity(Metric):
    direction = "maximize"
    drop_unit = "points"
    needs_labels = False


class Agreement(_Fidelity):
    """Share of rows whose greatest score is that of the source model."""

    name = "agreement"

    def compute(self, outputs: Array, reference: Array) -> Any:
        from sklearn.metrics import accuracy_score

        return accuracy_score(_classes(reference), _classes(outputs))

    def compute_per_sample(self, outputs: Array, reference: Array) -> PerSample:
        same: PerSample = (_classes(outputs) == _classes(reference)).astype(np.float64)
        return same


class Cosine(_Fidelity):
    """Mean cosine similarity to the source's output, each row flattened.

    A row of zeros is similar (1) to a row of zeros only (else 0).
    """

    name = "cosine"

    def compute(self, outputs: Array, reference: Array) -> Any:
        return self.compute_per_sample(outputs, reference).mean()

    def compute_per_sample(self, outputs: Array, reference: Array) -> PerSample:
        a, b = flat_pair(outputs, reference, "source outputs")
        norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        cosines: PerSample = np.einsum("ij,ij->i", a, b) / np.where(norms > 0, norms, 1.0)
        both_zero = ~a.any(axis=1) & ~b.any(axis=1)
        return np.where(both_zero, 1.0, np.clip(cosines, -1.0, 1.0))


def _classes(scores: Array) -> Array:
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise MetricError(
            f"it takes scores of shape [rows, classes], but there are {list(scores.shape)}; "
            "use 'cosine'"
        )
    classes: Array = scores.argmax(axis=1)
    return classes


AGREEMENT = Agreement()
COSINE = Cosine()
