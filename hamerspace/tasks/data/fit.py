"""Check that the data fit the model, before any trial."""

from collections.abc import Iterator

import numpy as np

from hamerspace.errors import DataError, did_you_mean
from hamerspace.tasks.data.splits import Array, Splits
from hamerspace.tasks.model import SourceInfo, TensorSpec

_CHUNK_ROWS = 1024


def check_fits(splits: Splits, info: SourceInfo, *, needs_labels: bool = False) -> None:
    """Check names, dtypes, shapes, values and the batch size. Nothing is cast silently.

    Args:
        splits: The prepared data.
        info: The inspected source model.
        needs_labels: Whether the metric needs labels.

    Raises:
        DataError: With one line for each misfit: split, array, what to do.
    """
    problems = [*_batch_problems(splits, info), *_label_problems(splits, needs_labels)]
    for split in splits.names:
        arrays = splits.arrays(split)
        problems += _name_problems(split, set(arrays) - {splits.label}, info)
        for spec in info.inputs:
            if spec.name in arrays and not spec.constant:
                array, where = arrays[spec.name], f"split '{split}', array '{spec.name}'"
                problems += [f"{where}: {p}" for p in input_problems(array, spec)]
        rows = {name: len(array) for name, array in arrays.items()}
        if len(set(rows.values())) > 1:
            problems.append(f"split '{split}': its arrays differ in their number of rows: {rows}")
    if problems:
        raise DataError("\n".join(dict.fromkeys(problems)))


def _batch_problems(splits: Splits, info: SourceInfo) -> Iterator[str]:
    for spec in info.inputs:
        if spec.constant:
            continue
        if not spec.shape:
            yield (
                f"input '{spec.name}' of the model has no batch dimension; export the model with "
                "a batch as the first dimension of every input"
            )
        elif spec.shape[0] not in (None, splits.batch_size):
            yield (
                f"input '{spec.name}' of the model has a fixed batch of {spec.shape[0]}, but "
                f"task.batch_size is {splits.batch_size}; set batch_size: {spec.shape[0]}, or "
                "export the model with a free batch dimension"
            )


def _label_problems(splits: Splits, needs_labels: bool) -> Iterator[str]:
    for split in splits.names:
        labels = splits.labels_of(split)
        if labels is None:
            if needs_labels and split in ("search", "confirm"):
                yield (
                    f"split '{split}': the metric needs labels and there are none; name their "
                    "array in task.data.labels, or choose 'agreement' or 'cosine'"
                )
        elif (row := _first_non_finite(labels)) is not None:
            yield f"split '{split}', labels '{splits.label}': row {row} holds NaN or infinity"


def _name_problems(split: str, names: set[str], info: SourceInfo) -> Iterator[str]:
    wanted = [spec.name for spec in info.inputs if not spec.constant]
    missing = [name for name in wanted if name not in names]
    surplus = sorted(names - set(wanted))
    for name in missing:
        yield f"split '{split}': no array '{name}' for that input{did_you_mean(name, surplus)}"
    # With inputs missing the surplus arrays were named above, as what may have been meant.
    for name in [] if missing else surplus:
        yield (
            f"split '{split}', array '{name}': the model has no such input (it has "
            f"{', '.join(wanted)}); take the array out, or, if these are the labels, set "
            f"task.data.labels: {name}"
        )


def input_problems(array: Array, spec: TensorSpec) -> Iterator[str]:
    """What is wrong with an input, or with a constant: dtype, shape, values that are not finite."""
    if array.dtype.name != spec.dtype:
        yield (
            f"{array.dtype.name}, but the model takes {spec.dtype}; save it as "
            f"array.astype('{spec.dtype}')"
        )
    first, whose = (0, "it") if spec.constant else (1, "each row")
    found, wanted = array.shape[first:], spec.shape[first:]
    if len(array.shape) != len(spec.shape) or any(
        w is not None and f != w for f, w in zip(found, wanted, strict=True)
    ):
        row = ", ".join("?" if d is None else str(d) for d in wanted)
        shape = ", ".join(str(d) for d in found)
        yield f"{whose} has shape [{shape}], but the model takes [{row}]; reshape or resize it"
    if array.ndim and (row_number := _first_non_finite(array)) is not None:
        yield f"row {row_number} holds NaN or infinity; clean the data"


def _first_non_finite(array: Array) -> int | None:
    """Number of the first row with a value that is not finite; reads a piece at a time."""
    if array.dtype.kind != "f":
        return None
    for start in range(0, len(array), _CHUNK_ROWS):
        chunk = np.asarray(array[start : start + _CHUNK_ROWS])
        finite = np.isfinite(chunk.reshape(len(chunk), -1)).all(axis=1)
        if not finite.all():
            return start + int(np.argmin(finite))
    return None
