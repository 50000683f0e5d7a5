"""What a model gives for the rows of a split, in larger batches where that changes nothing."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hamerspace.errors import SessionError
from hamerspace.measure.child import joined
from hamerspace.measure.runner import Runner
from hamerspace.tasks.channels import differing_channel, unmasked
from hamerspace.tasks.metrics.rows import row_count
from hamerspace.tasks.model import Arrays, TensorSpec

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
        outputs: Names of the outputs.
    """

    inputs: Mapping[str, str]
    batch_size: int
    outputs: tuple[str, ...]


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
        self._larger = times * readable.batch_size if large and free else 0
        """Rows of a larger batch that is still to be tried."""
        self._batch_size = readable.batch_size
        self._last = readable.batch_size
        self._rows = readable.batch_size
        """Of the next request, where it is for more."""
        self._like: list[Arrays] = []
        """No rows, of the shape of those that were read."""

    @property
    def was_larger(self) -> bool:
        """Whether the last batches were larger than deployed: their failure says nothing."""
        return self._last > self._readable.batch_size

    def read(self, start: int, stop: int) -> Iterator[Arrays]:
        """The outputs ``[n, ...]`` of the rows in order, in parts that fit into memory.

        Args:
            start: A multiple of the deployment batch.
            stop: The first row that is not read.

        Raises:
            SessionError: The model crashed, hung or refused the rows.
        """
        if self._batch_size < self._larger < stop - start:
            head = self._tried(start)
            yield head
            start += row_count(head)
        parts: list[Arrays] = []
        for part in self._requests(start, stop, self._batch_size):
            parts.append(part)
            if 2 * sum(map(_bytes, parts)) > _LARGE_BYTES:
                yield self._joined(parts)
                parts = []
        if parts:
            yield self._joined(parts)

    def _tried(self, start: int) -> Arrays:
        """The first rows as deployed; where more at once give the same, the rest is read so."""
        parts: list[Arrays] = []
        for part in self._requests(start, start + self._larger, self._batch_size):
            parts.append(part)
            if sum(map(_bytes, parts)) + _bytes(part) > _LARGE_BYTES:
                break
        head, self._larger = self._joined(parts), 0
        rows = row_count(head)
        if rows > self._batch_size and self._agrees(head, start, rows):
            self._batch_size = rows
        return head

    def _agrees(self, head: Arrays, start: int, rows: int) -> bool:
        try:
            (batched,) = self._requests(start, start + rows, rows)
        except SessionError:
            if not self._runner.alive:
                raise
            return False  # it takes the deployment batch size only
        return all(outputs_agree(array, batched[name]) for name, array in head.items())

    def _requests(self, start: int, stop: int, batch_size: int) -> Iterator[Arrays]:
        """The rows in requests of whole batches, each short and of few bytes."""
        given = self._readable
        while start < stop:
            self._last = batch_size
            rows = max(self._rows // batch_size, 1) * batch_size
            end = min(start + rows, stop)
            began = time.monotonic()
            part = self._runner.evaluate(given.inputs, batch_size, start, end, given.outputs)
            fast = time.monotonic() - began < _REQUEST_S
            bytes_each = _bytes(part) // row_count(part) + 1
            self._rows = min(2 * rows if fast else rows // 2, _LARGE_BYTES // bytes_each)
            start = end
            none = {name: np.empty_like(array[:0]) for name, array in part.items()}
            self._like = [self._joined([*self._like, none])]
            yield part

    def _joined(self, parts: Sequence[Arrays]) -> Arrays:
        try:
            return {name: joined([part[name] for part in parts], name) for name in parts[0]}
        except ValueError as error:
            raise SessionError(str(error)) from error


def save_rows(parts: Iterable[npt.NDArray[Any]], rows: int, path: Path) -> None:
    """Write an array of so many rows, of which one part at a time is there, as a ``.npy`` file."""
    with path.open("wb") as stream:
        for part in map(np.ascontiguousarray, parts):
            if not stream.tell():
                header = np.lib.format.header_data_from_array_1_0(part)
                header["shape"] = (rows, *part.shape[1:])
                np.lib.format.write_array_header_1_0(stream, header)
            part.tofile(stream)


def _bytes(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays.values())


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
