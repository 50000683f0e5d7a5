"""How arrays of the data and inputs of a model differ, in words that say what to do."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hamerspace.tasks.model import TensorSpec, shape_text

_CHUNK_ROWS = 1024


def name_problems(
    given: Collection[str], wanted: Sequence[str], required: Sequence[str]
) -> Iterator[str]:
    """Tell which inputs have no array and, where all have one, which arrays are no input.

    Args:
        given: Names of the data's arrays, without the labels.
        wanted: Names of the inputs that the model knows.
        required: Those that it cannot do without.
    """
    missing = [name for name in required if name not in given]
    surplus = sorted(name for name in given if name not in wanted)
    for name in missing:
        yield _missing(name, surplus, wanted)
    # With inputs missing the surplus arrays were named above, as what may have been meant.
    for name in [] if missing else surplus:
        yield (
            f"array '{name}': the model has no such input (it has {', '.join(wanted)}); take the "
            "array out, or, if these are the labels, name it 'labels', or set "
            f"task.data.labels: {name} in the study file"
        )


def _missing(name: str, surplus: Sequence[str], wanted: Sequence[str]) -> str:
    meant = " or ".join(f"'{other}'" for other in surplus)
    remedy = f"if it is {meant}, rename that array" if surplus else "add it"
    if len(wanted) > 1:  # a model's only input has rows
        remedy += (
            "; if it has no rows, such as a state that every call starts from, list it under "
            f"task.source as constants: [{name}] (--constant {name})"
        )
    return f"no array '{name}', which the model takes (its inputs: {', '.join(wanted)}); {remedy}"


def array_problems(array: npt.NDArray[Any], spec: TensorSpec) -> Iterator[str]:
    """Tell how an array differs from an input in type and in the shape of a row.

    Args:
        array: ``[rows, ...]``, or the whole of an input that is constant.
        spec: The input; its batch size is not looked at.
    """
    if array.dtype.name != spec.dtype:
        yield (
            f"{array.dtype.name}, but the model takes {spec.dtype}; save it as "
            f"array.astype('{spec.dtype}')"
        )
    first = 0 if spec.constant else 1
    found, wanted = array.shape[first:], spec.shape[first:]
    if array.ndim != len(spec.shape) or any(
        w is not None and f != w for f, w in zip(found, wanted, strict=True)
    ):
        what = "it" if spec.constant else "each row"
        yield (
            f"{what} has shape {shape_text(found)}, but the model takes {shape_text(wanted)}; "
            "reshape or resize it"
        )


def value_problem(array: npt.NDArray[Any]) -> str | None:
    """Tell of the first row of ``[rows, ...]`` with a value that is not finite, if there is one."""
    wrong = rows_not_finite(array)
    if not wrong.any():
        return None
    return f"row {int(np.argmax(wrong))}, counted from 0, holds NaN or infinity; clean the data"


def rows_not_finite(array: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Whether each row of ``[rows, ...]`` holds NaN or infinity."""
    wrong = np.zeros(len(array), bool)
    for start in range(0, len(array) if array.dtype.kind == "f" else 0, _CHUNK_ROWS):
        chunk = array[start : start + _CHUNK_ROWS]
        wrong[start : start + len(chunk)] = ~np.isfinite(chunk.reshape(len(chunk), -1)).all(axis=1)
    return wrong
