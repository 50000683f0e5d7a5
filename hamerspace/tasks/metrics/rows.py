"""Arrays of the same rows, one or several by name, and what is done with all of them alike."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Rows = Array | Mapping[str, Any]
"""An array whose first axis is the rows, or a mapping of names to such."""

_BLOCK_VALUES = 2**22


def row_count(rows: Rows) -> int:
    """How many there are; a number by itself has none."""
    if isinstance(rows, Mapping):
        return row_count(next(iter(rows.values())))
    return len(rows) if rows.ndim else 0


def take(rows: Rows, index: Any) -> Any:
    """Those that a slice or an array of row numbers chooses."""
    if isinstance(rows, Mapping):
        return {name: take(array, index) for name, array in rows.items()}
    return rows[index]


def joined(parts: Sequence[Rows]) -> Any:
    """The rows of all parts one after the other; of a single part itself, not a copy."""
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, Mapping):
        return {name: joined([part[name] for part in parts]) for name in first}
    return np.concatenate(parts)  # type: ignore[arg-type]


def blocks(rows: Rows, count: int | None = None) -> Iterator[slice]:
    """Slices of consecutive rows, of which a few copies fit into memory however many there are.

    Args:
        rows: Tell how large a row is.
        count: How many to slice; default: all.
    """
    size = max(1, _BLOCK_VALUES // max(1, _row_values(rows)))
    return (slice(at, at + size) for at in range(0, count or row_count(rows), size))


def _row_values(rows: Rows) -> int:
    if isinstance(rows, Mapping):
        return sum(map(_row_values, rows.values()))
    return int(np.prod(rows.shape[1:]))
