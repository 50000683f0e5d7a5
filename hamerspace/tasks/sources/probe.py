"""Run a source model a few times to learn its outputs and whether its batch is free."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hamerspace.errors import DataError, HamerspaceError, SourceError
from hamerspace.tasks.channels import differing_channel, unmasked
from hamerspace.tasks.example import resized
from hamerspace.tasks.model import SAME, Arrays, Findings, TensorSpec
from hamerspace.tasks.sources.base import describe

Array = npt.NDArray[Any]
Outputs = Mapping[str, Array]
Run = Callable[[Arrays], Outputs]
Shape = tuple[int | None, ...]
_REPORT_END = 250
"""Characters kept of either end of a long report."""
_COUNTS = (1, 2, 3)
_REPEATS = 3
_ROUNDING = 1e-4
"""As a share of the largest magnitude in a channel; what sums in another order differ by."""


@dataclass(frozen=True)
class Probe:
    """What running showed.

    Attributes:
        dynamic_batch: Whether 1, 2 and 3 rows work and an output has as many entries.
        inputs: Specifications in the order of the arrays; the first dimension is ``None`` where
            the batch is free.
        outputs: The same for what the model returned, each with the axis that follows the rows.
        findings: What else the runs showed of them.
    """

    dynamic_batch: bool
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    findings: Findings


@dataclass(frozen=True)
class _Runs:
    """Outputs of a model.

    Attributes:
        counted: Number of rows to what they gave, in increasing order.
        again: The run on the fewest rows once more, then those on the most: of few values, two
            draws may be the same.
        other: What as many other rows as in the last run gave; ``None`` where there are none, or
            the model fails on them.
        rolled: The last run, with the last row moved to the front; ``None`` for one row, and where
            the number of rows tells more.
        unchanged: Names of floats that are the same for all rows of the example, as anchors are.
        tried: As ``counted``, where other numbers of rows were tried in vain.
    """

    counted: Mapping[int, Outputs]
    again: Sequence[tuple[int, Outputs]]
    other: Outputs | None
    rolled: Outputs | None
    unchanged: frozenset[str]
    tried: Mapping[int, Outputs] = field(default_factory=dict)

    @property
    def last(self) -> Outputs:
        return self.counted[max(self.counted)]

    @property
    def all(self) -> list[Outputs]:
        return [*self.counted.values(), *([] if self.other is None else [self.other])]


def probe(
    run: Run,
    example: Arrays,
    fixed_rows: int | None,
    model: str,
    *,
    given: bool,
    constants: Collection[str] = (),
    batch_size: int | None = None,
) -> Probe:
    """Run the model on few rows.

    Args:
        run: The model.
        example: At least one row of every input, in call order.
        fixed_rows: The batch size that the model declares, where it declares one.
        model: Names the model in messages.
        given: Whether the example is the user's data, rather than random numbers.
        constants: Names of inputs without rows, which are fed as they are.
        batch_size: Rows of a batch, where the example has more: rows past it tell what depends on
            the rows.

    Raises:
        DataError: The model fails on the user's example; names the tensors' shapes.
        SourceError: It fails on random inputs, or returns nothing.
    """
    per_row = _per_row(example, constants, model)
    counted: dict[int, Outputs] = {}
    error: Exception | None = None
    for rows in _COUNTS if fixed_rows is None else ():
        found, error = _attempt(run, resized(example, rows, constants))
        if found is None:
            break
        counted[rows] = found
    if len(counted) == len(_COUNTS):
        runs = _more(run, example, counted, constants, free=True)
        axes = {name: _following(name, runs) for name in runs.last}
        if any(axis is not None for axis in axes.values()):
            return _found(example, runs, axes, constants, free=True)
    rows = fixed_rows or batch_size or len(next(iter(per_row.values())))
    outputs, failure = _attempt(run, resized(example, rows, constants))
    if outputs is None and 1 in counted:
        outputs, rows = counted[1], 1
    if outputs is None:
        raise _failed(failure or error, resized(example, rows, constants), model, given=given)
    if not outputs:
        raise SourceError(f"{model} returns no tensor; its forward must return its outputs")
    runs = replace(_more(run, example, {rows: outputs}, constants, free=False), tried=counted)
    axes = {name: _fixed_axis(name, runs, rows) for name in outputs}
    return _found(example, runs, axes, constants, free=False)


def _per_row(example: Arrays, constants: Collection[str], model: str) -> Arrays:
    """The inputs that have rows."""
    unknown = [name for name in constants if name not in example]
    if unknown:
        known = ", ".join(example)
        raise DataError(
            f"task.source.constants: {model} has no input '{unknown[0]}'; its inputs are {known}"
        )
    per_row = {name: array for name, array in example.items() if name not in constants}
    if not per_row:
        raise DataError("task.source.constants names every input; at least one must have rows")
    if any(array.ndim == 0 or len(array) == 0 for array in per_row.values()):
        raise DataError(f"an input has no rows: {describe(example)}; the first dimension is rows")
    return per_row


def _more(
    run: Run,
    example: Arrays,
    counted: Mapping[int, Outputs],
    constants: Collection[str],
    *,
    free: bool,
) -> _Runs:
    """The runs that tell what shapes alone do not."""
    fewest, most = min(counted), max(counted)
    batch = resized(example, most, constants)
    varying = {name: array for name, array in example.items() if name not in constants}
    rows = min(map(len, varying.values()))
    if rows > most:
        other = _from(varying, most, most)
    else:  # the values of each row in reverse: of the same types, sizes and ranges
        other = {n: np.flip(batch[n], tuple(range(1, a.ndim))).copy() for n, a in varying.items()}
    changed = any(not _equal(array, batch[name]) for name, array in other.items())
    rolled = {n: np.roll(batch[n], 1, axis=0) for n in varying}
    repeated = [fewest] + [most] * _REPEATS
    told = _attempt(run, {**batch, **other})[0] if changed else None
    last = counted[most]
    same = {n for n, a in last.items() if told and _floats(a) and _equal(a, told[n])}
    # What answers to rare rows only is not the same for whatever rows.
    for start in range(2 * most, rows, most):
        found = (_attempt(run, {**batch, **_from(varying, start, most)})[0] or {}) if same else {}
        same = {n for n in same if n in found and _equal(last[n], found[n])} if found else same
    return _Runs(
        counted,
        [(n, _attempt(run, resized(example, n, constants))[0] or {}) for n in repeated],
        told,
        _attempt(run, {**batch, **rolled})[0] if most > 1 and not free else None,
        frozenset(same),
    )


def _from(arrays: Arrays, start: int, rows: int) -> Arrays:
    return {n: np.take(a, range(start, start + rows), 0, mode="wrap") for n, a in arrays.items()}


def _attempt(run: Run, batch: Arrays) -> tuple[Outputs | None, Exception | None]:
    try:
        # Copies: a runtime may return the memory that its next run writes.
        return {name: np.array(array) for name, array in run(batch).items()}, None
    except HamerspaceError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the user's model raises
        return None, error


def _following(name: str, runs: _Runs) -> int | None:
    """The first axis of an output whose size is the number of rows, the other sizes being fixed."""
    shapes = [outputs[name].shape for outputs in runs.all]
    if len({len(shape) for shape in shapes}) > 1:
        return None
    counts = (*runs.counted, *([] if runs.other is None else [max(runs.counted)]))
    sizes = list(zip(*shapes, strict=True))
    following = [axis for axis, found in enumerate(sizes) if found == counts]
    steady = all(found == counts or len(set(found)) == 1 for found in sizes)
    return following[0] if following and steady else None


def _fixed_axis(name: str, runs: _Runs, rows: int) -> int | None:
    """The axis of the rows where their number cannot be changed.

    It has their number, and moving the rows moves its entries. Where that shows nothing, as with
    one row, or where rows depend on one another, it is the first that has their number.
    """
    array = runs.last[name]
    if any(outputs[name].shape != array.shape for outputs in runs.all):
        return None
    axes = [axis for axis, size in enumerate(array.shape) if size == rows]
    if runs.rolled is not None:
        moved = [a for a in axes if _near(runs.rolled[name], np.roll(array, 1, axis=a))]
        axes = moved if moved or name in runs.unchanged else axes
    return axes[0] if axes else None


def _found(
    example: Arrays,
    runs: _Runs,
    axes: Mapping[str, int | None],
    constants: Collection[str],
    *,
    free: bool,
) -> Probe:
    rows = None if free else next(iter(runs.counted))
    outputs = tuple(
        TensorSpec(name, str(array.dtype), _sizes(name, runs), row_axis=axes[name])
        for name, array in runs.last.items()
    )
    random = dict.fromkeys(
        name
        for rows_again, found in runs.again
        for name, array in found.items()
        if not _near(array, runs.counted[rows_again][name])
    )
    undefined = [n for n, a in runs.last.items() if _floats(a) and np.isnan(a).any()]
    findings = Findings(dict(_unfit(runs, axes)), tuple(random), tuple(undefined))
    inputs = tuple(
        TensorSpec(n, str(a.dtype), a.shape, constant=True)
        if n in constants
        else TensorSpec(n, str(a.dtype), (rows, *a.shape[1:]))
        for n, a in example.items()
    )
    return Probe(free, inputs, outputs, findings)


def _unfit(runs: _Runs, axes: Mapping[str, int | None]) -> Iterator[tuple[str, str]]:
    """Outputs that had better not be judged, or cannot, and why."""
    for name, array in runs.last.items():
        if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
            yield name, f"holds {array.dtype}, no numbers"
        elif name in runs.unchanged:
            yield name, SAME
        elif axes[name] is None:
            yield name, _why_rowless(name, runs)


def _why_rowless(name: str, runs: _Runs) -> str:
    counted = runs.tried if len(runs.tried) > 1 else runs.counted
    shapes = {rows: list(outputs[name].shape) for rows, outputs in counted.items()}
    most = max(runs.counted)
    shape = list(runs.last[name].shape)
    if not shape:
        return "is a single number for all rows"
    other = shape if runs.other is None else list(runs.other[name].shape)
    if other != shape:
        return (
            f"has a size that varies with the data ({shape}, then {other}, for {most} rows), so "
            "its entries are no rows; take what it is made from, such as the scores before a "
            "selection, or fill it up to a fixed size in the model"
        )
    listed = _listed([str(found) for found in shapes.values()])
    several = "row" if list(shapes) == [1] else "rows"
    return f"is {listed} for {_listed([str(n) for n in shapes])} {several}, with no entry for each"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1])] * (len(words) > 1) + [words[-1]])


def _sizes(name: str, runs: _Runs) -> Shape:
    """The shape with ``None`` where runs differ."""
    shapes = [outputs[name].shape for outputs in runs.all]
    if len({len(shape) for shape in shapes}) > 1:
        return (None,) * len(shapes[0])
    return tuple(sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*shapes, strict=True))


def _equal(one: Array, other: Array) -> bool:
    return np.array_equal(one, other, equal_nan=_floats(one))


def _near(one: Array, other: Array) -> bool:
    """Whether two outputs differ by rounding at most, as a whole and in each channel."""
    if one.shape != other.shape or not _floats(one):
        return _equal(one, other)
    scale = float(np.abs(one[unmasked(one)]).max(initial=0.0))
    return (
        np.allclose(one, other, rtol=_ROUNDING, atol=_ROUNDING * scale, equal_nan=True)
        and differing_channel(one, other, _ROUNDING) is None
    )


def _floats(array: Array) -> bool:
    return array.dtype.kind == "f"


def _failed(
    error: Exception | None, example: Arrays, model: str, *, given: bool
) -> HamerspaceError:
    reason = f"{type(error).__name__}: {_shortened(str(error))}"
    if given:
        return DataError(
            f"{model} fails on the example batch ({describe(example)}): {reason}; "
            "check the shapes and dtypes of the data against what the model takes"
            f"{_doubles_hint(example)}"
        )
    return SourceError(
        f"{model} fails on random inputs ({describe(example)}): {reason}; "
        "give data, or correct task.source.inputs"
    )


def _doubles_hint(example: Arrays) -> str:
    """NumPy makes float64 unasked, and few models take it."""
    names = [f"'{name}'" for name, array in example.items() if array.dtype == "float64"]
    if not names:
        return ""
    return f"; if it takes float32, save {', '.join(names)} as array.astype('float32')"


def _shortened(text: str) -> str:
    """One line with both ends of a runtime's report: the sizes may stand at either."""
    words = " ".join(text.split())
    if len(words) <= 2 * _REPORT_END:
        return words
    return f"{words[:_REPORT_END]} ... {words[-_REPORT_END:]}"
