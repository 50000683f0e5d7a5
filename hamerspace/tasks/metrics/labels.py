"""What labels are, told by their values and by the output that they belong to."""

from typing import Literal

import numpy as np

from hamerspace.errors import MetricError
from hamerspace.tasks.data.reading import ALL, RawData
from hamerspace.tasks.metrics.base import (
    Shape,
    is_quantised,
    may_be_ids,
    one_value_a_row,
    same_rows,
)
from hamerspace.tasks.metrics.rows import Array
from hamerspace.tasks.model import TensorSpec

Kind = Literal["classes", "ids", "binary", "tags", "masks", "numbers"]

_NO_CLASS_OF_BYTES = 255
_GAP = 50
_MOST_IDS = 160
"""Maps of small whole numbers with more values than this are pictures, not classes."""
IGNORED = (_NO_CLASS_OF_BYTES, -1, -100)
"""What stands for 'no class' in labels, where it cannot be one."""


def kind_of(labels: Array, shape: Shape, dtype: str = "float32") -> Kind:
    """What labels are to an output.

    ``classes`` are indices of scores, or one-hot; ``ids`` are what the model itself gives out;
    ``binary`` are 0 and 1 for one score a row; ``tags`` are several of 0 and 1 a row, ``masks``
    such of more dimensions; ``numbers`` are anything else.

    Args:
        labels: ``[N, ...]``.
        shape: Of the output, rows first.
        dtype: Of the output.
    """
    whole = bool((labels == np.floor(labels)).all()) if labels.dtype.kind == "f" else True
    if not same_rows(labels.shape, shape):
        return "classes" if whole and class_axis(shape, labels.shape) is not None else "numbers"
    binary = whole and bool(np.isin(labels, (0, 1)).all())
    if may_be_ids(shape, dtype):
        quantised = is_quantised(dtype)
        if not (quantised and (binary or len(np.unique(labels)) > _MOST_IDS)):
            return "ids" if whole else "numbers"
    if not binary:
        return "numbers"
    if one_value_a_row(shape):
        return "binary"
    if one_hot_axis(labels) is not None:
        return "classes"
    return "tags" if labels.ndim == 2 else "masks"


def class_axis(shape: Shape, labels: Shape) -> int | None:
    """Axis of an output that holds the scores of the classes; ``None`` where labels fit none.

    Without it the output has the shape of the labels. Where two would do, it is the last of
    sequences ``[N, time, classes]`` and the first of images ``[N, classes, height, width]``.
    """
    last = len(shape) - 1
    for axis in (last, 1) if last == 2 else (1, last):
        rest = (*shape[:axis], *shape[axis + 1 :])
        if 0 < axis <= last and shape[axis] != 1 and same_rows(rest, labels):
            return axis
    return None


def one_hot_axis(labels: Array) -> int | None:
    """Axis along which exactly one label is 1 and the others 0, of more than one value a row."""
    if labels.ndim < 2 or not np.isin(labels, (0, 1)).all():
        return None
    axes = dict.fromkeys((1, labels.ndim - 1))
    return next((a for a in axes if labels.shape[a] > 1 and (labels.sum(axis=a) == 1).all()), None)


def class_labels(labels: Array, classes: int | None, *, ignore: bool = False) -> Array:
    """Labels as int64 classes: one-hot ones are looked up, whole floats converted.

    Args:
        labels: Of whatever shape and type.
        classes: How many there are; ``None`` where that is not known yet.
        ignore: Whether :data:`IGNORED` may stand among them.

    Raises:
        MetricError: They are no classes, or out of range.
    """
    axis = one_hot_axis(labels)
    if axis is not None and classes in (None, labels.shape[axis]):
        labels = labels.argmax(axis=axis)
    if labels.dtype.kind == "f" and not (labels == np.floor(labels)).all():
        raise MetricError(
            f"it takes labels that are classes, and they are {labels.dtype} with fractions; for "
            "numbers choose 'rmse', 'mae' or 'r2'"
        )
    found: Array = labels.astype(np.int64)
    checked = found[~ignored(found, classes)] if ignore else found
    if not len(checked):
        raise MetricError("every label stands for 'no class'")
    low, high = int(checked.min()), int(checked.max())
    if low < 0 or (classes is not None and high >= classes):
        known = f", but the model has {classes} classes, 0 to {classes - 1}" if classes else ""
        remedy = (
            "they seem to count from 1: give labels - 1"
            if (low, high) == (1, classes)
            else "check that the labels start from 0"
        )
        raise MetricError(f"the labels run from {low} to {high}{known}; {remedy}")
    return found


def ignored(labels: Array, classes: int | None) -> Array:
    """Which labels stand for 'no class': one of :data:`IGNORED` that cannot be one.

    Args:
        labels: Whole numbers.
        classes: How many there are. Where that is not known, 255 is none if no label is near it.
    """
    if classes is None:
        classes = int(labels[labels != _NO_CLASS_OF_BYTES].max(initial=0)) + 1
        classes = classes if classes < _NO_CLASS_OF_BYTES - _GAP else labels.max() + 1
    found: Array = np.isin(labels, [v for v in IGNORED if v < 0 or v >= classes])
    return found


def without_ignored(raw: RawData, name: str, output: TensorSpec) -> tuple[RawData, list[str]]:
    """The data without rows of which no label is a class, and notes of what is left out.

    Args:
        raw: Split name to array name to array.
        name: Of the labels.
        output: The output that is judged.

    Raises:
        MetricError: What is left is of one class only, so that any constant would be right.
    """
    kept: RawData = {}
    notes = []
    left: set[int] = set()
    for split, arrays in raw.items():
        kept[split] = dict(arrays)
        labels = arrays.get(name)
        if labels is None or not len(labels):
            continue
        kind = kind_of(labels, output.shape, output.dtype)
        axis = class_axis(output.shape, labels.shape)
        # What stands for no class among ids, the source model's own tell: see Accuracy.
        if kind != "classes" or axis is None:
            continue
        classes = output.shape[axis]
        none = ignored(labels, classes)
        left |= set(np.unique(labels[~none]).tolist())
        if not none.any() or counts_from_minus_one(labels, classes):
            continue
        rows = ~none.reshape(len(labels), -1).all(axis=1)
        if not rows.all():
            kept[split] = {key: array[rows] for key, array in arrays.items()}
        which = ", ".join(str(int(value)) for value in np.unique(labels[none]))
        place = f" of '{split}'" if split != ALL else ""
        lost = f", and with them {int((~rows).sum()):,} rows" if not rows.all() else ""
        notes.append(
            f"{int(none.sum()):,} of {none.size:,} labels{place} are {which}, which is no class of "
            f"the model: they are left out{lost}."
        )
    if notes and len(left) < 2:
        raise MetricError(
            f"task.data.labels: {' '.join(notes)} What is left is one class at most "
            f"({left or ''}), so any constant is right. If what is left out is a class, number the "
            "classes from 0: labels // 255 of 0 and 255, (labels + 1) // 2 of -1 and 1"
        )
    return kept, notes


def counts_from_minus_one(labels: Array, classes: int | None) -> bool:
    """Whether -1 is rather the first class than none: otherwise the last would never occur."""
    return classes is not None and labels.min() == -1 and labels.max() == classes - 2
