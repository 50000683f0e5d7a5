"""A few rows of every input: what a model is traced, exported and probed with."""

from collections.abc import Collection, Sequence
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
        if spec.constant:
            given = None if data is None else data.get(spec.name)
            batch[spec.name] = spec.zeros() if given is None else np.asarray(given)
            continue
        count = rows if not spec.shape or spec.shape[0] is None else spec.shape[0]
        if data is not None and spec.name in data:
            batch[spec.name] = resized({spec.name: data[spec.name]}, count)[spec.name]
            continue
        array = spec.sample(count, rng)
        # 0 is an index of every embedding; a random integer may be beyond its end.
        batch[spec.name] = array if array.dtype.kind == "f" else np.zeros_like(array)
    return batch
