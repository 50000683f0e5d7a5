"""Rows of every input by the batch: what a model is traced, probed, calibrated and timed with."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hamerspace.tasks.model import Arrays, TensorSpec


def resized(
    arrays: Arrays, rows: int, constants: Collection[str] = ()
) -> dict[str, npt.NDArray[Any]]:
    """The first ``rows`` rows, repeated from the start where there are fewer.

    The arrays named in ``constants`` have no rows and stay as they are.
    """
    return {
        n: a if n in constants else np.take(a, np.arange(rows) % len(a), axis=0)
        for n, a in arrays.items()
    }


def example_batch(
    inputs: Sequence[TensorSpec], data: Arrays | None, rows: int = 2
) -> dict[str, npt.NDArray[Any]]:
    """One batch in call order, of ``rows`` rows or as many as the inputs are fixed to.

    Two rows by default, as tracers take a dimension of 1 for a constant.

    Args:
        inputs: Specifications of the inputs.
        data: At least one row of the inputs; those that are missing are drawn, seeded.
        rows: Number of rows where the batch is free.
    """
    rng = np.random.default_rng(0)
    batch = {}
    for spec in inputs:
        given = None if data is None else data.get(spec.name)
        count = rows if not spec.shape or spec.shape[0] is None else spec.shape[0]
        if spec.constant:
            array = spec.zeros() if given is None else np.asarray(given)
        elif given is not None:
            array = resized({spec.name: given}, count)[spec.name]
        else:
            array = spec.sample(count, rng)
            # 0 is an index of every embedding; a random integer may be beyond its end.
            array = array if array.dtype.kind == "f" else np.zeros_like(array)
        batch[spec.name] = array
    return batch


def batches(
    arrays: Arrays, size: int, rows: int | None = None, constants: Collection[str] = ()
) -> Iterator[dict[str, Any]]:
    """Yield consecutive batches of exactly ``size`` rows.

    The last batch is filled up by repeating its last row, so that a model with a fixed batch
    dimension takes it; whoever collects outputs drops the surplus.

    Args:
        arrays: Inputs by name.
        size: Rows of a batch.
        rows: Use no more than these; default: all.
        constants: Names of inputs without rows, which every batch holds whole.
    """
    total = next(len(array) for name, array in arrays.items() if name not in constants)
    total = total if rows is None else min(rows, total)
    for start in range(0, total, size):
        taken: Any = slice(start, start + size)
        if start + size > total:
            taken = np.minimum(np.arange(start, start + size), total - 1)
        yield {n: array if n in constants else array[taken] for n, array in arrays.items()}
