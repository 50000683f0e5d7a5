"""The contract of a target: a device on which candidates are measured."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy.typing as npt

from hamerspace.backends.base import Candidate, Host
from hamerspace.measure.latency import LatencyPlan
from hamerspace.measure.protocol import MeasurementPlan
from hamerspace.outcome.measurement import Latency, Measurement


class Target(ABC):
    """A device. It measures one thing at a time.

    Args:
        threads: Threads of one inference.
        timeout_s: Wall seconds that one measuring step may take.
        memory_mb: Resident MB that a measuring process may take; default: three quarters.
        hardware: Where models run: ``cpu`` or ``gpu``.

    Raises:
        HamerspaceError: The device has no such hardware.
    """

    @abstractmethod
    def __init__(
        self,
        threads: int,
        timeout_s: float,
        memory_mb: float | None = None,
        hardware: str = "cpu",
    ) -> None:
        """Note the settings; no model runs before :meth:`set_reference`."""

    @abstractmethod
    def host(self) -> Host:
        """What of the device decides which choices make sense."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """What a reader of the figures must know: processor, cores, memory, kernel, load."""

    @abstractmethod
    def set_reference(
        self, source: Candidate, inputs: dict[str, str], batch_size: int, log: Path
    ) -> None:
        """Load the source model; every candidate is timed beside it.

        Raises:
            SessionError: It cannot be loaded or run.
        """

    @abstractmethod
    def reference_outputs(
        self, inputs: dict[str, str], rows: int, batch_size: int, output: str
    ) -> npt.NDArray[Any]:
        """The source model's named output on all rows of the input files."""

    @abstractmethod
    def measure_reference(
        self, source: Candidate, inputs: dict[str, str], batch_size: int, plan: LatencyPlan
    ) -> Measurement:
        """Size, memory, load time and latency of the source model itself."""

    def expect(self, backend: str, log: Path) -> None:  # noqa: B027 - optional
        """A candidate of this backend is about to be built and then measured with this log.

        A target may start the process ahead, so that its imports go on beside the build.
        """

    @abstractmethod
    def measure(self, candidate: Candidate, plan: MeasurementPlan, log: Path) -> Measurement:
        """Measure a candidate in a fresh process; its failures are observations."""

    @abstractmethod
    def time_afresh(self, candidate: Candidate | None, plan: LatencyPlan, pair: int) -> Latency:
        """Latency in a process started for this, beside a source model started for this.

        Both are run on the inputs of :meth:`set_reference`. The latency in ms is that of this
        process.

        Args:
            candidate: What is timed; ``None`` is the source model.
            plan: When to stop.
            pair: How many such pairs there were: which of the two is loaded first takes turns.

        Raises:
            SourceSessionError: The source model cannot be loaded or run.
            SessionError: The candidate cannot.
        """

    @abstractmethod
    def close(self) -> None:
        """End every process."""
