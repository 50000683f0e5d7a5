"""What a model gives for the rows of a split, in larger batches where that changes nothing."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hamerspace.errors import SessionError
from hamerspace.measure.child import joined
from hamerspace.measure.runner import Runner
from hamerspace.tasks.channels import differing_channel, unmasked
from hamerspace.tasks.model import TensorSpec

_TIMES = 16
"""A larger batch, in deployment batches. Beyond it, the cost of a call no longer matters."""
_LARGE_BYTES = 64_000_000
"""Of the inputs of a larger batch, and of the outputs of one request."""
_REQUEST_S = 2.0
"""What a request may take before the next is made smaller: each has a limit of its own."""
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Readable:
    """The rows that models are run on, and what is read of them.

    Attributes:
        inputs: Input name to the path of its ``.npy`` file.
        batch_size: The deployment batch size.
        output: Name of the output.
    """

    inputs: Mapping[str, str]
    batch_size: int
    output: str


class OutputReader:
    """Reads one model's outputs, which nobody times.

    The first rows are read at the deployment batch size and again as one larger batch. Where the
    two agree, the model treats each row alone, and the rest is read in larger batches; a scale
    that is taken over a batch, as in dynamic quantisation, or a state that runs through its rows,
    keeps it at the deployment batch size.

    Args:
        runner: Of the model, loaded.
        readable: What to read.
        specs: Of the model's inputs.
        large: Whether larger batches may be tried at all.
    """

    def __init__(
        self,
        runner: Runner,
        readable: Readable,
        specs: Sequence[TensorSpec],
        *,
        large: bool = True,
    ) -> None:
        self._runner = runner
        self._readable = readable
        free = all(spec.constant or spec.shape[0] is None for spec in specs)
        times = min(_TIMES, _LARGE_BYTES // (_row_bytes(readable, specs) * readable.batch_size))
        self._larger = times * readable.batch_size
        self._batch_size = None if large and free and times > 1 else readable.batch_size
        self._last = readable.batch_size
        self._rows = readable.batch_size
        """Of the next request, where it is for more."""

    @property
    def was_larger(self) -> bool:
        """Whether the last batches were larger than deployed: their failure says nothing."""
        return self._last > self._readable.batch_size

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Outputs ``[stop - start, ...]``; ``start`` is a multiple of the deployment batch.

        Raises:
            SessionError: The model crashed, hung or refused the rows.
        """
        larger = self._larger
        if self._batch_size is not None or stop - start <= larger:
            batch_size = self._batch_size or self._readable.batch_size
            return self._evaluate(start, stop, batch_size)
        head = self._evaluate(start, start + larger, self._readable.batch_size)
        agrees = self._agrees(head, start)
        self._batch_size = larger if agrees else self._readable.batch_size
        return self._joined([head, self._evaluate(start + larger, stop, self._batch_size)])

    def _agrees(self, head: npt.NDArray[Any], start: int) -> bool:
        try:
            batched = self._evaluate(start, start + len(head), len(head))
        except SessionError:
            if not self._runner.alive:
                raise
            return False  # it takes the deployment batch size only
        return outputs_agree(head, batched)

    def _evaluate(self, start: int, stop: int, batch_size: int) -> npt.NDArray[Any]:
        """The rows in requests of whole batches, each short and of few bytes."""
        given = self._readable
        self._last = batch_size
        parts: list[npt.NDArray[Any]] = []
        while start < stop:
            rows = max(self._rows // batch_size, 1) * batch_size
            end = min(start + rows, stop)
            began = time.monotonic()
            part = self._runner.evaluate(given.inputs, batch_size, start, end, given.output)
            parts.append(part)
            fast = time.monotonic() - began < _REQUEST_S
            bytes_each = part.nbytes // len(part) + 1
            self._rows = min(2 * rows if fast else rows // 2, _LARGE_BYTES // bytes_each)
            start = end
        return self._joined(parts)

    def _joined(self, parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        try:
            return joined(parts, self._readable.output)
        except ValueError as error:
            raise SessionError(str(error)) from error


def _row_bytes(readable: Readable, specs: Sequence[TensorSpec]) -> int:
    """Bytes of one row of all inputs."""
    constants = {spec.name for spec in specs if spec.constant}
    arrays = [np.load(p, mmap_mode="r") for n, p in readable.inputs.items() if n not in constants]
    return max(sum(int(array.nbytes) // max(len(array), 1) for array in arrays), 1)


def outputs_agree(exact: npt.NDArray[Any], batched: npt.NDArray[Any]) -> bool:
    """Whether outputs differ by rounding at most, as a whole and in each channel."""
    # Infinities must be the same; NaN agrees with nothing.
    scale = float(np.abs(exact[unmasked(exact)]).max(initial=0.0))
    return (
        exact.shape == batched.shape
        and np.allclose(exact, batched, rtol=_ROUNDING, atol=1e-5 * scale)
        and differing_channel(exact, batched, _ROUNDING) is None
    )
