"""Metrics of regressors: outputs and labels have the same number of values in a row."""

from typing import Any, Literal

import numpy as np

from hamerspace.errors import MetricError
from hamerspace.tasks.metrics.base import Metric, OfAllRows, PerSample, Shape, same_rows
from hamerspace.tasks.metrics.rows import Array
from hamerspace.tasks.model import shape_text


class _Regression(Metric):
    loss = "mse"

    def examine(self, output_shape: Shape, labels: Array | None) -> None:
        if labels is not None:
            check_rows(output_shape, labels.shape, "labels")


class R2(OfAllRows, _Regression):
    """Coefficient of determination, the mean over the columns."""

    name = "r2"
    direction = "maximize"
    drop_unit = "points"

    def chance(self, reference: Array) -> float:  # noqa: ARG002 - whatever the labels
        return 0.0

    def of_all(self, outputs: Array, labels: Array) -> Any:
        from sklearn.metrics import r2_score

        predicted, wanted = flat_pair(outputs, labels)
        return r2_score(wanted, predicted)


class RootMeanSquaredError(_Regression):
    """Root of the mean squared error, the mean over the columns."""

    name = "rmse"
    direction = "minimize"
    drop_unit = "relative"

    def chance(self, reference: Array) -> float:
        return float(reference.std(axis=0, dtype=np.float64).mean())

    def rows(self, outputs: Array, reference: Array) -> PerSample:
        predicted, wanted = flat_pair(outputs, reference)
        return np.square(predicted - wanted)

    def value(self, evidence: PerSample) -> Any:
        return np.sqrt(evidence.mean(axis=0)).mean()


class MeanAbsoluteError(_Regression):
    """Mean absolute error, the mean over the columns."""

    name = "mae"
    direction = "minimize"
    drop_unit = "relative"

    def chance(self, reference: Array) -> float:
        return float(np.abs(reference - np.median(reference, axis=0)).mean())

    def rows(self, outputs: Array, reference: Array) -> PerSample:
        predicted, wanted = flat_pair(outputs, reference)
        errors: PerSample = np.abs(predicted - wanted).mean(axis=1)
        return errors


def flat_pair(
    outputs: Array, reference: Array, kind: Literal["labels", "source outputs"] = "labels"
) -> tuple[PerSample, PerSample]:
    """Both as float64 ``[N, values]``, so that ``[N]`` and ``[N, 1]`` are never broadcast.

    Raises:
        MetricError: Their rows differ in shape.
    """
    check_rows(outputs.shape, reference.shape, kind)
    rows = len(outputs)
    return (
        outputs.reshape(rows, -1).astype(np.float64),
        reference.reshape(rows, -1).astype(np.float64),
    )


def check_rows(outputs: Shape, reference: Shape, kind: str) -> None:
    """Check that rows of two shapes may be compared value by value.

    Raises:
        MetricError: They differ in shape.
    """
    if same_rows(outputs, reference):
        return
    hint = (
        "; for classes give integer labels and a metric such as 'accuracy'"
        if kind == "labels"
        else ""
    )
    raise MetricError(
        f"the outputs have shape {shape_text(outputs)} and the {kind} {shape_text(reference)}{hint}"
    )


R2_SCORE = R2()
RMSE = RootMeanSquaredError()
MAE = MeanAbsoluteError()
