"""Run a source model once or twice to learn its outputs and whether its batch is free."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from hamerspace.errors import DataError, HamerspaceError, SourceError
from hamerspace.tasks.example import resized
from hamerspace.tasks.model import Arrays, TensorSpec
from hamerspace.tasks.sources.base import describe

Outputs = Mapping[str, npt.NDArray[Any]]
Run = Callable[[Arrays], Outputs]
Shape = tuple[int | None, ...]
_REPORT_END = 250
"""Characters kept of either end of a long report."""


@dataclass(frozen=True)
class Probe:
    """What running showed.

    Attributes:
        dynamic_batch: Whether 1 and 3 rows both work and come back as 1 and 3 rows.
        inputs: Specifications in the order of the arrays; the first dimension is ``None`` where
            the batch is free.
        outputs: The same for what the model returned.
    """

    dynamic_batch: bool
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def probe(
    run: Run,
    example: Arrays,
    fixed_rows: int | None,
    model: str,
    *,
    given: bool,
    constants: Collection[str] = (),
) -> Probe:
    """Run the model on few rows.

    Args:
        run: The model.
        example: At least one row of every input, in call order.
        fixed_rows: The batch size that the model declares, where it declares one.
        model: Names the model in messages.
        given: Whether the example is the user's data, rather than random numbers.
        constants: Names of inputs without rows, which are fed as they are.

    Raises:
        DataError: The model fails on the user's example; names the tensors' shapes.
        SourceError: It fails on random inputs, or returns nothing.
    """
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
    one: Outputs | None = None
    error: Exception | None = None
    if fixed_rows is None:
        one, error = _attempt(run, example, 1, constants)
        three = _attempt(run, example, 3, constants)[0] if one is not None else None
        if one is not None and three is not None and _rows(one) == 1 and _rows(three) == 3:
            free = {name: _free(one[name].shape, three[name].shape) for name in one}
            return Probe(True, _specs(example, None, constants), _named(one, free))
    rows = fixed_rows or len(next(iter(per_row.values())))
    outputs, failure = _attempt(run, example, rows, constants)
    if outputs is None and one is not None:
        outputs, rows = one, 1
    if outputs is None:
        raise _failed(failure or error, example, model, given=given)
    if not outputs:
        raise SourceError(f"{model} returns no tensor; its forward must return its outputs")
    shapes = {name: array.shape for name, array in outputs.items()}
    return Probe(False, _specs(example, rows, constants), _named(outputs, shapes))


def _attempt(
    run: Run, example: Arrays, rows: int, constants: Collection[str]
) -> tuple[Outputs | None, Exception | None]:
    try:
        return run(resized(example, rows, constants)), None
    except HamerspaceError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the user's model raises
        return None, error


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


def _rows(outputs: Outputs) -> int:
    first = next(iter(outputs.values()), None)
    return -1 if first is None or first.ndim == 0 else len(first)


def _free(one: tuple[int, ...], three: tuple[int, ...]) -> Shape:
    if len(one) != len(three):
        return tuple(None for _ in one)
    return tuple(a if a == b else None for a, b in zip(one, three, strict=True))


def _named(arrays: Outputs, shapes: Mapping[str, Shape]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(n, str(a.dtype), shapes[n]) for n, a in arrays.items())


def _specs(
    example: Arrays, batch: int | None, constants: Collection[str]
) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(n, str(a.dtype), a.shape, constant=True)
        if n in constants
        else TensorSpec(n, str(a.dtype), (batch, *a.shape[1:]))
        for n, a in example.items()
    )
