"""Make the splits: check the arrays, split what needs splitting, write the files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hamerspace.errors import DataError
from hamerspace.tasks.data.reading import ALL, RawData
from hamerspace.tasks.data.splits import SPLITS, Array, Splits, write_splits
from hamerspace.tasks.inputs import rows_not_finite, value_problem

MIN_ROWS = 4
"""Least rows of search and of confirm: below, not even a standard error means anything."""
MIN_ROWS_TO_SPLIT = 10
FEW_ROWS = 100
MAX_CALIBRATION_ROWS = 300
CALIBRATION_DRAW_ROWS = 256
_HALVES = (0, 1)
_FORTY_FORTY_TWENTY = (0, 1, 2, 0, 1)
"""The part that each row of a round goes to, as cards are dealt."""


def prepare_data(
    source: RawData,
    labels_name: str,
    folder: Path,
    seed: int,
    batch_size: int,
    *,
    whole_batches: bool = False,
) -> Splits:
    """Check the arrays, complete the splits and write them into ``folder``.

    One set without splits becomes 40% search, 40% confirm and up to 300 rows of calibration from
    the rest; none of it is trained on. Splits that are given keep their rows; those of search are
    shuffled, so that any head of it is a fair sample. A missing calibration is drawn from train or
    else from search, a missing confirm is half of search.

    Args:
        source: What :func:`~hamerspace.tasks.data.read_data` returned.
        labels_name: Name of the array of labels, where there is one.
        folder: Where the files go.
        seed: Seeds the permutations.
        batch_size: The deployment batch size; calibration is cut to whole batches where it can.
        whole_batches: Whether the rows of a batch belong together: then batches are what is
            shuffled and split, and rows past the last whole batch are left out.

    Raises:
        DataError: An array is malformed, labels hold a value that is not finite, the splits differ
            in their arrays, or rows are too few. Rows are named as the user has them.
    """
    _check_arrays(source, labels_name)
    rng = np.random.default_rng(seed)
    notes: list[str] = []
    if whole_batches:
        source, unit = _grouped(source, batch_size, notes), 1
    else:
        unit = batch_size
    if ALL in source:
        splits = _split_one_set(source[ALL], labels_name, rng, unit, notes)
    else:
        splits = _complete(source, labels_name, rng, unit, notes)
    if whole_batches:
        splits = {split: _ungrouped(arrays) for split, arrays in splits.items()}
    else:
        splits["calibration"] = _finite(splits["calibration"], labels_name, batch_size, notes)
    has_labels = labels_name in splits["search"]
    if not has_labels:
        notes.append(
            f"There is no array '{labels_name}': quality is agreement with the source model, not "
            "correctness."
        )
    notes += [
        f"'{name}' has only {_rows(splits[name])} rows: small drops of quality cannot be told from "
        "chance."
        for name in ("search", "confirm")
        if _rows(splits[name]) < FEW_ROWS
    ]
    ordered = {name: splits[name] for name in SPLITS if name in splits}
    label = labels_name if has_labels else None
    return write_splits(folder, ordered, label, tuple(notes), batch_size)


def _split_one_set(
    arrays: Mapping[str, Array],
    labels_name: str,
    rng: np.random.Generator,
    batch_size: int,
    notes: list[str],
) -> RawData:
    rows = _rows(arrays)
    if rows < MIN_ROWS_TO_SPLIT:
        raise DataError(
            f"the data have {rows} rows; at least {MIN_ROWS_TO_SPLIT} are needed to search, to "
            "confirm and to calibrate on different rows"
        )
    parts, stratified = _deal(arrays.get(labels_name), rows, _FORTY_FORTY_TWENTY, rng)
    search, confirm, rest = parts
    calibration = rest[: _whole_batches(min(MAX_CALIBRATION_ROWS, len(rest)), batch_size)]
    how = f", stratified by '{labels_name}'" if stratified else ""
    unused = rows - len(search) - len(confirm) - len(calibration)
    left = f"; {unused:,} are unused" if unused else ""
    notes.append(
        f"One set of {rows:,} rows was split at random{how}: {len(search):,} search, "
        f"{len(confirm):,} confirm, {len(calibration):,} calibration{left}. Nothing is trained: "
        "for that, give a 'train' split."
    )
    return {
        "search": _take(arrays, search),
        "confirm": _take(arrays, confirm),
        "calibration": _take(arrays, calibration),
    }


def _complete(
    source: RawData, labels_name: str, rng: np.random.Generator, batch_size: int, notes: list[str]
) -> RawData:
    splits = {name: dict(arrays) for name, arrays in source.items()}
    if "search" not in splits:
        given = ", ".join(f"'{name}'" for name in splits)
        raise DataError(
            f"there is no split 'search', on which candidates are judged, among {given}; add "
            "'search' and 'confirm' with rows that the model was not trained on"
        )
    if "confirm" not in splits:
        rows = _rows(splits["search"])
        if rows < 2 * MIN_ROWS:
            raise DataError(
                f"split 'search' has {rows} rows and there is no 'confirm'; at least "
                f"{2 * MIN_ROWS} are needed to halve it"
            )
        whole = splits["search"]
        (first, second), _ = _deal(whole.get(labels_name), rows, _HALVES, rng)
        splits["search"], splits["confirm"] = _take(whole, first), _take(whole, second)
        notes.append(
            f"There is no 'confirm' split: the {rows:,} rows of 'search' were halved at random, "
            f"{len(first):,} to search and {len(second):,} to confirm."
        )
    for name in ("search", "confirm"):
        if _rows(splits[name]) < MIN_ROWS:
            raise DataError(
                f"split '{name}' has {_rows(splits[name])} rows; at least {MIN_ROWS} are needed"
            )
    if _same(splits["search"], splits["confirm"]):
        raise DataError(
            "splits 'search' and 'confirm' hold the same rows; confirm on rows that the search "
            "does not see, or leave 'confirm' out to halve 'search'"
        )
    if "confirm" in source:  # halves come shuffled
        splits["search"] = _take(splits["search"], rng.permutation(_rows(splits["search"])))
    if "calibration" not in splits:
        origin = "train" if "train" in splits else "search"
        rows = _rows(splits[origin])
        count = _whole_batches(min(CALIBRATION_DRAW_ROWS, rows), batch_size)
        chosen = rng.permutation(rows)[:count]
        splits["calibration"] = _take(splits[origin], chosen)
        beware = (
            ""
            if origin == "train"
            else ". These rows are judged too, so give a 'train' or a 'calibration' split for "
            "figures that are independent; confirmation is not touched"
        )
        notes.append(
            f"There is no 'calibration' split: {len(chosen):,} rows were drawn from '{origin}'"
            f"{beware}."
        )
    return splits


def _deal(
    labels: Array | None, rows: int, hand: tuple[int, ...], rng: np.random.Generator
) -> tuple[list[Array], bool]:
    """Deal shuffled rows to parts like cards, class after class where that is possible.

    Each part comes shuffled, so that any head of it is a fair sample.

    Returns:
        The parts, and whether they are stratified: they are for integer labels of which every
        class has a round of rows at least, so that no part lacks a class.
    """
    order = rng.permutation(rows)
    stratified = labels is not None and _has_classes(labels, len(hand))
    if stratified:
        assert labels is not None
        order = order[np.argsort(labels.reshape(-1)[order], kind="stable")]
    part_of_row = np.resize(np.asarray(hand), rows)
    parts = [rng.permutation(order[part_of_row == part]) for part in range(max(hand) + 1)]
    return parts, stratified


def _has_classes(labels: Array, least_rows: int) -> bool:
    if labels.dtype.kind not in "biu" or labels.size != len(labels):
        return False
    counts = np.unique(labels, return_counts=True)[1]
    return bool(counts.min() >= least_rows)


def _finite(
    arrays: dict[str, Array], labels_name: str, batch_size: int, notes: list[str]
) -> dict[str, Array]:
    """Calibration without the rows that would stretch a range to infinity, where others are."""
    wrong = [rows_not_finite(array) for name, array in arrays.items() if name != labels_name]
    kept = np.flatnonzero(~np.any(wrong, axis=0))
    if len(kept) == _rows(arrays) or len(kept) < batch_size:
        return arrays
    notes.append(
        f"{_rows(arrays) - len(kept):,} rows of 'calibration' hold NaN or infinity and are left "
        "out: no range could be taken from them."
    )
    return _take(arrays, kept[: _whole_batches(len(kept), batch_size)])


def _grouped(source: RawData, size: int, notes: list[str]) -> RawData:
    """Arrays of ``[batches, size, ...]``, so that what moves a row moves a batch."""
    notes.append(f"Rows are kept together in batches of {size}; counts of rows are of batches.")
    found = {}
    for split, arrays in source.items():
        rows = _rows(arrays)
        if rows < size:
            raise DataError(
                f"{'the data have' if split == ALL else f'split {split!r} has'} {rows} rows, fewer "
                f"than one batch of {size}"
            )
        count = rows // size
        found[split] = {
            name: array[: count * size].reshape(count, size, *array.shape[1:])
            for name, array in arrays.items()
        }
    return found


def _ungrouped(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: array.reshape(-1, *array.shape[2:]) for name, array in arrays.items()}


def _check_arrays(source: RawData, labels_name: str) -> None:
    problems = [
        f"{_named(split, name)}: {problem}"
        for split, arrays in source.items()
        for name, array in arrays.items()
        if (problem := _array_problem(array, labels=name == labels_name))
    ]
    problems += [f"split '{split}' holds no arrays" for split in source if not source[split]]
    if problems:
        raise DataError("\n".join(problems))
    for split, arrays in source.items():
        counts = {name: len(array) for name, array in arrays.items()}
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"'{name}' {rows:,}" for name, rows in counts.items())
            place = "the arrays" if split == ALL else f"split '{split}': its arrays"
            raise DataError(f"{place} differ in their number of rows: {listed}")
        if set(counts) == {labels_name}:
            raise DataError(f"{_named(split, labels_name)}: there are labels but no inputs")
    _check_alike(source, labels_name)


def _check_alike(source: RawData, labels_name: str) -> None:
    """Every split has the inputs of the first; search and confirm both have labels or neither."""
    first, *others = source
    inputs = set(source[first]) - {labels_name}
    for split in others:
        differing = sorted((set(source[split]) - {labels_name}) ^ inputs)
        if differing:
            raise DataError(
                f"splits '{first}' and '{split}' differ in their arrays: '{differing[0]}' is in "
                "one of them only"
            )
    judged = [split for split in ("search", "confirm") if split in source]
    with_labels = [split for split in judged if labels_name in source[split]]
    if with_labels and with_labels != judged:
        missing = next(split for split in judged if split not in with_labels)
        raise DataError(
            f"split '{missing}' has no labels '{labels_name}', but '{with_labels[0]}' has; give "
            "both or neither"
        )


def _array_problem(array: Array, *, labels: bool) -> str | None:
    if labels and array.dtype.kind in "SU":
        return (
            "holds text; give each class by its number, from 0 in the order of the model's scores: "
            "numpy.unique(labels, return_inverse=True)[1] where that is the alphabet's"
        )
    if array.ndim == 0:
        return "is a single number; the first dimension must be the rows"
    if array.size == 0:
        return f"is empty (shape {array.shape})"
    # Of inputs, the source model's answers tell whether it is made for them.
    return value_problem(array) if labels else None


def _named(split: str, name: str) -> str:
    return f"array '{name}'" if split == ALL else f"split '{split}', array '{name}'"


def _rows(arrays: Mapping[str, Array]) -> int:
    return len(next(iter(arrays.values())))


def _take(arrays: Mapping[str, Array], rows: Array) -> dict[str, Array]:
    return {name: array[rows] for name, array in arrays.items()}


def _whole_batches(rows: int, batch_size: int) -> int:
    """``rows`` cut to whole batches; a filled-up batch would count its last row repeatedly."""
    return rows if rows < batch_size else rows - rows % batch_size


def _same(one: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[n], other[n]) for n in one)
