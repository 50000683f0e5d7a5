"""Metrics without labels: how close the outputs stay to those of the source model."""

from typing import Any

import numpy as np

from hamerspace.errors import MetricError
from hamerspace.tasks.metrics.base import (
    Array,
    Metric,
    PerSample,
    Shape,
    one_value_a_row,
    shape_text,
)
from hamerspace.tasks.metrics.regression import flat_pair


class _Fidelity(Metric):
    direction = "maximize"
    drop_unit = "points"
    needs_labels = False


class Agreement(_Fidelity):
    """Share of rows whose greatest score is that of the source model."""

    name = "agreement"

    def examine(self, output_shape: Shape, labels: Array | None) -> None:  # noqa: ARG002
        _check_scores(output_shape)

    def compute(self, outputs: Array, reference: Array) -> Any:
        from sklearn.metrics import accuracy_score

        return accuracy_score(_classes(reference), _classes(outputs))

    def compute_per_sample(self, outputs: Array, reference: Array) -> PerSample:
        same: PerSample = (_classes(outputs) == _classes(reference)).astype(np.float64)
        return same


class Cosine(_Fidelity):
    """Mean cosine similarity to the source's output, each row flattened.

    It sees directions, not magnitudes, so rows of one value are refused: of these it would see the
    sign only. A row of zeros is similar (1) to a row of zeros only (else 0).
    """

    name = "cosine"

    def examine(self, output_shape: Shape, labels: Array | None) -> None:  # noqa: ARG002
        if one_value_a_row(output_shape):
            raise MetricError(
                f"the outputs have shape {shape_text(output_shape)}, and of one value a row it "
                "sees the sign only; choose 'fidelity_r2'"
            )

    def compute(self, outputs: Array, reference: Array) -> Any:
        return self.compute_per_sample(outputs, reference).mean()

    def compute_per_sample(self, outputs: Array, reference: Array) -> PerSample:
        self.examine(outputs.shape, None)
        a, b = flat_pair(outputs, reference, "source outputs")
        norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        cosines: PerSample = np.einsum("ij,ij->i", a, b) / np.where(norms > 0, norms, 1.0)
        both_zero = ~a.any(axis=1) & ~b.any(axis=1)
        return np.where(both_zero, 1.0, np.clip(cosines, -1.0, 1.0))


class FidelityR2(_Fidelity):
    """Coefficient of determination with the source's outputs for the truth.

    That is 1 less the mean squared difference over the variance of the source's outputs; the mean
    over the values of a row. One point is a difference of a tenth of their standard deviation.
    """

    name = "fidelity_r2"

    def compute(self, outputs: Array, reference: Array) -> Any:
        from sklearn.metrics import r2_score

        found, wanted = flat_pair(outputs, reference, "source outputs")
        constant = np.flatnonzero(np.ptp(wanted, axis=0) == 0)
        if len(constant):
            which = "" if wanted.shape[1] == 1 else f" as value {constant[0]} of a row"
            raise MetricError(
                f"the source model gives the same number in all {len(wanted)} rows{which}, so "
                "there is no variance to measure a difference by; give rows that differ, or write "
                "a metric (module:function)"
            )
        return r2_score(wanted, found)


def _classes(scores: Array) -> Array:
    _check_scores(scores.shape)
    classes: Array = scores.argmax(axis=1)
    return classes


def _check_scores(shape: Shape) -> None:
    if len(shape) != 2 or shape[1] == 1:
        other = "fidelity_r2" if one_value_a_row(shape) else "cosine"
        raise MetricError(
            f"it takes scores of shape [rows, classes], but there are {shape_text(shape)}; "
            f"use '{other}'"
        )


AGREEMENT = Agreement()
COSINE = Cosine()
FIDELITY_R2 = FidelityR2()
