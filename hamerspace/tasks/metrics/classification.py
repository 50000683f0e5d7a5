"""Metrics of classifiers: outputs are scores ``[N, classes]``, labels integers ``[N]``.

Scores may be logits or probabilities: only their order counts.
"""

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


class _Classification(Metric):
    direction = "maximize"
    drop_unit = "points"
    loss = "cross_entropy"

    def examine(self, output_shape: Shape, labels: Array | None) -> None:
        check_classes(output_shape)
        if labels is not None:
            integer_labels(labels, output_shape[1])


class Accuracy(_Classification):
    """Share of rows whose greatest score is that of the label."""

    name = "accuracy"

    def compute(self, outputs: Array, reference: Array) -> Any:
        from sklearn.metrics import accuracy_score

        scores, labels = scores_and_labels(outputs, reference)
        return accuracy_score(labels, scores.argmax(axis=1))

    def compute_per_sample(self, outputs: Array, reference: Array) -> PerSample:
        scores, labels = scores_and_labels(outputs, reference)
        hits: PerSample = (scores.argmax(axis=1) == labels).astype(np.float64)
        return hits


class Top5Accuracy(_Classification):
    """Share of rows whose label is among the five greatest scores."""

    name = "top5_accuracy"

    def examine(self, output_shape: Shape, labels: Array | None) -> None:
        super().examine(output_shape, labels)
        self._check_count(output_shape[1])

    def compute(self, outputs: Array, reference: Array) -> Any:
        from sklearn.metrics import top_k_accuracy_score

        scores, labels = self._more_than_five(outputs, reference)
        return top_k_accuracy_score(labels, scores, k=5, labels=np.arange(scores.shape[1]))

    def compute_per_sample(self, outputs: Array, reference: Array) -> PerSample:
        scores, labels = self._more_than_five(outputs, reference)
        # Sorted as scikit-learn sorts, so that ties fall alike.
        best = np.argsort(scores, axis=1, kind="mergesort")[:, ::-1][:, :5]
        hits: PerSample = (best == labels[:, None]).any(axis=1).astype(np.float64)
        return hits

    def _more_than_five(self, outputs: Array, reference: Array) -> tuple[Array, Array]:
        scores, labels = scores_and_labels(outputs, reference)
        self._check_count(scores.shape[1])
        return scores, labels

    @staticmethod
    def _check_count(classes: int | None) -> None:
        if classes is not None and classes <= 5:
            raise MetricError(f"with {classes} classes it is always 1; use 'accuracy'")


class BalancedAccuracy(_Classification):
    """Mean over the classes of the share of their rows that are recognised."""

    name = "balanced_accuracy"

    def compute(self, outputs: Array, reference: Array) -> Any:
        from sklearn.metrics import balanced_accuracy_score

        scores, labels = scores_and_labels(outputs, reference)
        return balanced_accuracy_score(labels, scores.argmax(axis=1))


class F1Macro(_Classification):
    """Mean over the classes of F1; a class that is never predicted counts as 0."""

    name = "f1_macro"

    def compute(self, outputs: Array, reference: Array) -> Any:
        from sklearn.metrics import f1_score

        scores, labels = scores_and_labels(outputs, reference)
        return f1_score(labels, scores.argmax(axis=1), average="macro", zero_division=0)


class RocAuc(_Classification):
    """Area under the ROC curve; with more than two classes the mean of each against the rest.

    Two classes may be one score ``[N]`` or ``[N, 1]`` of class 1. Of two columns the difference
    ranks logits and probabilities alike. With more columns each ranks the rows by itself.

    The area is that of the ranks (Hanley and McNeil 1982, "The meaning and use of the area under a
    receiver operating characteristic curve"): drawing an interval takes hundreds of areas, and a
    general function that checks and sorts its arguments each time makes them seconds.
    """

    name = "roc_auc"

    def examine(self, output_shape: Shape, labels: Array | None) -> None:
        one_score = one_value_a_row(output_shape)
        if not one_score:
            check_classes(output_shape)
        classes = 2 if one_score else output_shape[1]
        if labels is not None:
            found = integer_labels(labels, classes)
            if classes is not None:
                _all_present(found, classes)

    def compute(self, outputs: Array, reference: Array) -> Any:
        if one_value_a_row(outputs.shape):
            score = outputs.reshape(-1)
            labels = integer_labels(reference, 2)
        else:
            scores, labels = scores_and_labels(outputs, reference)
            if scores.shape[1] > 2:
                classes = np.arange(scores.shape[1])
                _all_present(labels, len(classes))
                return _area(labels[:, None] == classes, scores).mean()
            score = scores[:, 1].astype(np.float64) - scores[:, 0]
        _all_present(labels, 2)
        return _area(labels[:, None] == 1, score[:, None])[0]


def _area(positive: Array, scores: Array) -> Array:
    """Of each column, the chance that a positive row scores above another, ties counted half."""
    from scipy.stats import rankdata

    ranks = rankdata(scores, axis=0)
    count = positive.sum(axis=0).astype(np.float64)
    above = (ranks * positive).sum(axis=0) - count * (count + 1) / 2
    found: Array = above / (count * (len(scores) - count))
    return found


def scores_and_labels(outputs: Array, labels: Array) -> tuple[Array, Array]:
    """Check that outputs are ``[N, classes]`` with labels in range; return both.

    Raises:
        MetricError: The message says what they are instead, and what to do.
    """
    check_classes(outputs.shape)
    return outputs, integer_labels(labels, outputs.shape[1])


def check_classes(shape: Shape) -> None:
    """Check that outputs are ``[N, classes]``.

    Raises:
        MetricError: The message says what they are instead, and what to do.
    """
    if len(shape) == 2 and shape[1] != 1:
        return
    remedy = (
        "for one score a row choose 'roc_auc', with labels 0 and 1; for one number a row 'rmse'"
        if one_value_a_row(shape)
        else "choose another task.quality.output or metric, or write one (module:function)"
    )
    raise MetricError(
        "it takes scores of shape [rows, classes], but the outputs have shape "
        f"{shape_text(shape)}; {remedy}"
    )


def integer_labels(labels: Array, classes: int | None) -> Array:
    """Check that labels are integers ``[N]`` (or ``[N, 1]``) below ``classes``; return ``[N]``.

    Args:
        labels: Of whatever shape and type.
        classes: How many there are; ``None`` where that is not known yet.
    """
    if labels.ndim == 2 and labels.shape[1] == classes:
        raise MetricError(
            f"the labels have shape {list(labels.shape)}, as if one-hot; give labels.argmax(axis=1)"
        )
    if labels.size != len(labels):
        raise MetricError(f"it takes one label a row, but they have shape {list(labels.shape)}")
    if labels.dtype.kind not in "biu":
        raise MetricError(
            f"it takes integer labels, not {labels.dtype}; cast them with labels.astype('int64')"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or (classes is not None and high >= classes):
        known = f", but the model has {classes} classes, 0 to {classes - 1}" if classes else ""
        raise MetricError(
            f"the labels run from {low} to {high}{known}; check that the labels start from 0"
        )
    return labels.reshape(-1).astype(np.int64)


def _all_present(labels: Array, classes: int) -> None:
    absent = np.setdiff1d(np.arange(classes), labels)
    if len(absent):
        raise MetricError(f"no row is of class {absent[0]}, so its ROC curve is not defined")


ACCURACY = Accuracy()
TOP5_ACCURACY = Top5Accuracy()
BALANCED_ACCURACY = BalancedAccuracy()
F1_MACRO = F1Macro()
ROC_AUC = RocAuc()
