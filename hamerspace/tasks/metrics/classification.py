"""Metrics of classifiers: outputs are scores ``[N, classes]``, labels classes ``[N]`` or one-hot.

Scores may be logits or probabilities: only their order counts.
"""

from typing import Any

import numpy as np

from hamerspace.errors import MetricError
from hamerspace.tasks.metrics.base import (
    Metric,
    OfAllRows,
    PerSample,
    Shape,
    is_scores,
    may_be_ids,
    one_value_a_row,
    same_rows,
)
from hamerspace.tasks.metrics.labels import (
    IGNORED,
    class_axis,
    class_labels,
    counts_from_minus_one,
    ignored,
    one_hot_axis,
)
from hamerspace.tasks.metrics.rows import Array
from hamerspace.tasks.model import shape_text


class _Classification(Metric):
    direction = "maximize"
    drop_unit = "points"
    loss = "cross_entropy"

    def examine(self, output_shape: Shape, labels: Array | None) -> None:
        check_classes(output_shape)
        if labels is not None:
            integer_labels(labels, output_shape[1])


class Accuracy(_Classification):
    """Share of rows whose greatest score is that of the label.

    Of an output with scores for each position, such as a pixel or a token, a row counts by its
    share of positions; labels of 255, -1 and -100 that cannot be classes are left out. A model may
    also give out the classes themselves, as whole numbers: of these it is left out what the source
    model never gives, but for rows that have no other label.
    """

    name = "accuracy"
    takes_ids = True

    def __init__(self, given: frozenset[int] = frozenset()) -> None:
        self._given = given

    def fitted(self, source_outputs: Array) -> "Accuracy":
        if not may_be_ids(source_outputs.shape, source_outputs.dtype):
            return self
        return Accuracy(frozenset(v for v in IGNORED if (source_outputs == v).any()))

    def examine(self, output_shape: Shape, labels: Array | None) -> None:
        if labels is None:
            check_classes(output_shape)
        else:
            axis, wanted = _classes_of(output_shape, labels)
            if counts_from_minus_one(wanted, output_shape[axis]):
                class_labels(labels, output_shape[axis])  # says so

    def chance(self, reference: Array) -> float:
        return float(_shares(reference)[0])

    def rows(self, outputs: Array, reference: Array) -> PerSample:
        ids = may_be_ids(outputs.shape, outputs.dtype)
        if ids and same_rows(outputs.shape, reference.shape):
            found = outputs
            wanted = reference.reshape(outputs.shape)
            known = ~np.isin(wanted, [v for v in IGNORED if v not in self._given])
            known |= ~known.any(axis=tuple(range(1, known.ndim)), keepdims=True)
        else:
            axis, wanted = _classes_of(outputs.shape, reference)
            found = outputs.argmax(axis=axis).reshape(wanted.shape)
            known = ~ignored(wanted, outputs.shape[axis])
        rows = len(outputs)
        hits = ((found == wanted) & known).reshape(rows, -1).sum(axis=1)
        counts = known.reshape(rows, -1).sum(axis=1)
        if not counts.all():
            raise MetricError(f"no label of row {int(counts.argmin())} is a class; leave it out")
        share: PerSample = hits / counts
        return share


class Top5Accuracy(_Classification):
    """Share of rows whose label is among the five greatest scores."""

    name = "top5_accuracy"

    def chance(self, reference: Array) -> float:
        return float(_shares(reference)[:5].sum())

    def examine(self, output_shape: Shape, labels: Array | None) -> None:
        super().examine(output_shape, labels)
        self._check_count(output_shape[1])

    def rows(self, outputs: Array, reference: Array) -> PerSample:
        scores, labels = scores_and_labels(outputs, reference)
        self._check_count(scores.shape[1])
        # Sorted as scikit-learn sorts, so that ties fall alike.
        best = np.argsort(scores, axis=1, kind="mergesort")[:, ::-1][:, :5]
        hits: PerSample = (best == labels[:, None]).any(axis=1).astype(np.float64)
        return hits

    @staticmethod
    def _check_count(classes: int | None) -> None:
        if classes is not None and classes <= 5:
            raise MetricError(f"with {classes} classes it is always 1; use 'accuracy'")


class _OfClasses(_Classification):
    """One that knows each row by its label and the class of its greatest score."""

    def rows(self, outputs: Array, reference: Array) -> Array:
        scores, labels = scores_and_labels(outputs, reference)
        return np.stack([labels, scores.argmax(axis=1)], axis=1)


class BalancedAccuracy(_OfClasses):
    """Mean over the classes of the share of their rows that are recognised."""

    name = "balanced_accuracy"

    def chance(self, reference: Array) -> float:
        return 1.0 / len(_shares(reference))

    def value(self, evidence: Array) -> Any:
        from sklearn.metrics import balanced_accuracy_score

        return balanced_accuracy_score(*evidence.T)


class F1Macro(_OfClasses):
    """Mean over the classes of F1; a class that is never predicted counts as 0."""

    name = "f1_macro"

    def chance(self, reference: Array) -> float:
        shares = _shares(reference)
        return float(2 * shares[0] / (1 + shares[0])) / len(shares)

    def value(self, evidence: Array) -> Any:
        from sklearn.metrics import f1_score

        return f1_score(*evidence.T, average="macro", zero_division=0)


class RocAuc(OfAllRows, _Classification):
    """Area under the ROC curve; with more than two classes the mean of each against the rest.

    Labels of several 0 and 1 a row stand each for the score in their place. Two classes may be one
    score ``[N]`` or ``[N, 1]`` of class 1. Of two columns the difference ranks logits and
    probabilities alike. With more columns each ranks the rows by itself.

    The area is that of the ranks (Hanley and McNeil 1982, "The meaning and use of the area under a
    receiver operating characteristic curve"): drawing an interval takes hundreds of areas, and a
    general function that checks and sorts its arguments each time makes them seconds.
    """

    name = "roc_auc"

    def chance(self, reference: Array) -> float:  # noqa: ARG002 - whatever the labels
        return 0.5

    def examine(self, output_shape: Shape, labels: Array | None) -> None:
        if labels is not None and _are_tags(labels, output_shape):
            _varying(labels)
            return
        one_score = one_value_a_row(output_shape)
        if not one_score:
            check_classes(output_shape)
        classes = 2 if one_score else output_shape[1]
        if labels is not None:
            found = integer_labels(labels, classes)
            if classes is not None:
                _all_present(found, classes)

    def remark(self, labels: Array) -> str:
        if one_hot_axis(labels) is not None or labels.ndim != 2:
            return ""
        return _missing_tags((labels == labels[:1]).all(axis=0), "all rows are alike in them")

    def of_all(self, outputs: Array, labels: Array) -> Any:
        if _are_tags(labels, outputs.shape):
            varying = _varying(labels)
            return _area(labels[:, varying] == 1, outputs[:, varying]).mean()
        if one_value_a_row(outputs.shape):
            score = outputs.reshape(-1)
            wanted = integer_labels(labels, 2)
        else:
            scores, wanted = scores_and_labels(outputs, labels)
            if scores.shape[1] > 2:
                classes = np.arange(scores.shape[1])
                _all_present(wanted, len(classes))
                return _area(wanted[:, None] == classes, scores).mean()
            score = scores[:, 1].astype(np.float64) - scores[:, 0]
        _all_present(wanted, 2)
        return _area(wanted[:, None] == 1, score[:, None])[0]


class AveragePrecision(OfAllRows):
    """Area under the precision-recall curve of each tag, and the mean of these: the macro average.

    Tags that no row has, for which it is not defined, are left out.

    Labels are several of 0 and 1 a row, outputs as many scores, logits or probabilities: only
    their order within a tag counts. As scikit-learn has it, the mean over the positive rows of the
    precision at their score.
    """

    name = "average_precision"
    direction = "maximize"
    drop_unit = "points"
    loss = "binary_cross_entropy"

    def chance(self, reference: Array) -> float:
        return float(reference.mean())

    def examine(self, output_shape: Shape, labels: Array | None) -> None:
        if labels is None:
            return
        if len(output_shape) != 2 or not same_rows(output_shape, labels.shape):
            raise MetricError(
                f"it takes labels of 0 and 1 of the output's shape {shape_text(output_shape)}, "
                f"[rows, tags], not {shape_text(labels.shape)}"
            )
        if not np.isin(labels, (0, 1)).all():
            raise MetricError("it takes labels of 0 and 1, and there are others")
        if not (labels == 1).any():
            raise MetricError("no row has any tag, so no precision is defined")

    def remark(self, labels: Array) -> str:
        return _missing_tags(~(labels == 1).any(axis=0), "no row has them")

    def of_all(self, outputs: Array, labels: Array) -> Any:
        self.examine(outputs.shape, labels)
        tags = np.ascontiguousarray((labels.reshape(outputs.shape) == 1).T)
        # A row a tag: what lies together is sorted in a fraction of the time.
        scores = np.ascontiguousarray(outputs.T)
        found = []
        for values, ascending, has in zip(scores, np.sort(scores, axis=1), tags, strict=True):
            positive = np.sort(values[has])
            if len(positive):
                # Of all rows and of the positive ones, those that score as much or more.
                rows = len(values) - np.searchsorted(ascending, positive)
                hits = len(positive) - np.searchsorted(positive, positive)
                found.append((hits / rows).mean())
        return np.mean(found)


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


def _classes_of(shape: Shape, labels: Array) -> tuple[int, Array]:
    """The axis of the scores, and the labels as classes in the shape of the others."""
    axis = class_axis(shape, labels.shape)
    if axis is None and same_rows(shape, labels.shape):
        axis = one_hot_axis(labels)
    if axis is None:
        check_classes(shape)
        integer_labels(labels, shape[1])
        axis = 1
    found = class_labels(labels, shape[axis], ignore=True)
    return axis, found.reshape(-1) if one_value_a_row(found.shape) else found


def _shares(labels: Array) -> Array:
    """Share of each class that is there, the greatest first."""
    found = class_labels(labels, None, ignore=True).reshape(-1)
    known = found[~ignored(found, None)]
    # Rows without a class are no longer there: what a lone label says is one.
    if one_value_a_row(labels.shape) or len(np.unique(known)) < 2:
        known = found
    _, counts = np.unique(known, return_counts=True)
    shares: Array = np.sort(counts)[::-1] / counts.sum()
    return shares


def _are_tags(labels: Array, shape: Shape) -> bool:
    """Whether each score has a label; one-hot classes of three and more are judged alike."""
    if not is_scores(shape) or not same_rows(labels.shape, shape):
        return False
    return labels.shape[1] > 2 or one_hot_axis(labels) is None


def _varying(tags: Array) -> Array:
    """Which tags some rows have and others have not: the others have no ROC curve."""
    varying: Array = (tags != tags[:1]).any(axis=0)
    if not varying.any():
        raise MetricError("all rows have the same tags, so no ROC curve is defined")
    return varying


def _missing_tags(missing: Array, why: str) -> str:
    if not missing.any():
        return ""
    listed = ", ".join(map(str, np.flatnonzero(missing)[:8]))
    more = ", ..." if missing.sum() > 8 else ""
    return f"{int(missing.sum())} of {len(missing)} tags ({listed}{more}) do not count: {why}"


def check_classes(shape: Shape) -> None:
    """Check that outputs are ``[N, classes]``.

    Raises:
        MetricError: The message says what they are instead, and what to do.
    """
    if is_scores(shape):
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
    """Check that labels are one class a row below ``classes``, or one-hot; return int64 ``[N]``.

    Args:
        labels: Of whatever shape and type.
        classes: How many there are; ``None`` where that is not known yet.
    """
    found = class_labels(labels, classes)
    if found.size != len(found):
        raise MetricError(
            f"it takes one label a row, but they have shape {list(labels.shape)}; for several of 0 "
            "and 1 a row choose 'average_precision' or 'roc_auc'"
        )
    return found.reshape(-1)


def _all_present(labels: Array, classes: int) -> None:
    absent = np.setdiff1d(np.arange(classes), labels)
    if len(absent):
        raise MetricError(f"no row is of class {absent[0]}, so its ROC curve is not defined")


ACCURACY = Accuracy()
TOP5_ACCURACY = Top5Accuracy()
BALANCED_ACCURACY = BalancedAccuracy()
F1_MACRO = F1Macro()
ROC_AUC = RocAuc()
AVERAGE_PRECISION = AveragePrecision()
