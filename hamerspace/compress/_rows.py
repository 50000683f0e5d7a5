"""The train split as batches of tensors in a model's call order."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from hamerspace.compress.base import TrainingData
from hamerspace.tasks.model import TensorSpec
from hamerspace.tasks.torch_module import to_tensor

BATCH_SIZE = 64


class TrainingRows:
    """Reads rows of the train split where they are asked for.

    Args:
        data: The train split.
        inputs: Of the model, in call order; constant ones are the same in every batch.
    """

    def __init__(self, data: TrainingData, inputs: Sequence[TensorSpec]) -> None:
        self._data = data
        self._inputs = tuple(inputs)
        self._constants = {
            spec.name: np.asarray(data.arrays.get(spec.name, spec.zeros()))
            for spec in inputs
            if spec.constant
        }
        first = next(spec for spec in inputs if not spec.constant)
        self.count = len(data.arrays[first.name])
        fixed = first.shape[0] if first.shape else None
        self.batch_size = fixed or min(BATCH_SIZE, self.count)

    @property
    def steps(self) -> int:
        """Batches of one pass; rows that fill no batch wait for the next."""
        return max(1, self.count // self.batch_size)

    def permuted(self, order: np.random.Generator) -> Iterator[npt.NDArray[Any]]:
        """The indices of the batches of one pass.

        They are sorted within a batch, which has no order: the arrays are memory-mapped.
        """
        permutation, size = order.permutation(self.count), self.batch_size
        for step in range(self.steps):
            yield np.sort(np.take(permutation, range(step * size, (step + 1) * size), mode="wrap"))

    def inputs(self, indices: npt.NDArray[Any]) -> tuple[Tensor, ...]:
        """The model's inputs for these rows."""
        arrays, constants = self._data.arrays, self._constants
        return tuple(
            to_tensor(constants[s.name] if s.constant else np.asarray(arrays[s.name][indices]))
            for s in self._inputs
        )

    def labels(self, indices: npt.NDArray[Any]) -> Tensor:
        """The labels of these rows."""
        return to_tensor(np.asarray(self._data.arrays["labels"][indices]))

    def first(self, output: Tensor) -> Tensor:
        """The output that is trained, with its rows first."""
        return output.movedim(self._data.row_axis, 0)
