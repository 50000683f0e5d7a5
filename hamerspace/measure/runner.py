"""The contract of a runner: what holds one loaded candidate on a device and runs it on request."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from hamerspace.backends.candidate import Candidate
from hamerspace.errors import SessionError, SourceSessionError


class Runner(Protocol):
    """Runs one candidate in a process of its own, on this machine or another.

    Who has it started owns it: that one loads one candidate into it and closes it, however it
    ended, and nobody else does either. It takes one request at a time, from one thread, and
    nothing else is measured on the device meanwhile. It imports the runtime, numpy and the light
    half of Hamerspace, ahead of any request.

    A request returns or raises within the target's limits of time and memory. An exception of the
    model leaves the runner usable; after a crash, a hang or a limit it has ended, :attr:`alive` is
    false, and every request raises.

    Paths are of this machine: a runner on another brings the files there before it loads or
    evaluates, and takes no time for it that is measured.

    Every request may raise :class:`~hamerspace.errors.SessionError`, where the model crashed, hung
    or was refused, and :class:`~hamerspace.errors.DeviceError`, where the device is at fault.
    """

    @property
    def alive(self) -> bool:
        """Whether it can still be asked for anything."""
        ...

    def load(
        self, candidate: Candidate, inputs: Mapping[str, str], batch_size: int
    ) -> dict[str, float]:
        """Load a candidate and run it a few times.

        Args:
            candidate: As :meth:`Target.put <hamerspace.targets.base.Target.put>` returned it.
            inputs: Input name to the path of its ``.npy`` file; the first rows are what is timed.
            batch_size: Rows of one run.

        Returns:
            ``load_time_ms``, and ``peak_memory_mb`` over what the bare runtime takes.
        """
        ...

    def block(self, runs: int) -> tuple[list[int], list[int]]:
        """Wall and CPU nanoseconds of ``runs`` consecutive runs."""
        ...

    def evaluate(
        self,
        inputs: Mapping[str, str],
        batch_size: int,
        start: int,
        stop: int,
        outputs: Sequence[str],
    ) -> dict[str, Any]:
        """The named outputs ``[stop - start, ...]`` for rows of the input files, rows first."""
        ...

    def close(self) -> None:
        """End it and all that it started; what is closed already stays so."""
        ...


@contextmanager
def of_the_source() -> Iterator[None]:
    """Tell what fails of the source model from what fails of the candidate beside it.

    Raises:
        SourceSessionError: In place of any :class:`~hamerspace.errors.SessionError`.
    """
    try:
        yield
    except SessionError as error:
        raise SourceSessionError(str(error)) from error
