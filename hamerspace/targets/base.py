"""The contract of a target: a device on which models run."""

from abc import ABC, abstractmethod
from pathlib import Path

from hamerspace.backends.base import Host
from hamerspace.backends.candidate import Candidate
from hamerspace.measure.runner import Runner


class Target(ABC):
    """A device, and nothing of how models are measured: see :mod:`hamerspace.targets.measurer`.

    A study makes one, uses it from one thread, and closes it at its end. A runner belongs to who
    has it started and is closed before; what :meth:`put` has brought to the device may be removed
    from there as the target is closed.

    Every method may raise :class:`~hamerspace.errors.DeviceError`, where the device went away.

    Args:
        threads: Threads of one inference.
        timeout_s: Wall seconds that one request to a runner may take.
        memory_mb: Resident MB that a runner may take; default: three quarters.
        hardware: Where models run: ``cpu`` or ``gpu``.

    Attributes:
        threads: Threads of one inference.

    Raises:
        HamerspaceError: The device has no such hardware.
    """

    threads: int

    @abstractmethod
    def __init__(
        self,
        threads: int,
        timeout_s: float,
        memory_mb: float | None = None,
        hardware: str = "cpu",
    ) -> None:
        """Note the settings; nothing runs before :meth:`start`."""

    @abstractmethod
    def host(self) -> Host:
        """What of the device decides which choices make sense."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """What a reader of the figures must know: processor, cores, memory, kernel, load."""

    @abstractmethod
    def runtime(self, backend: str) -> dict[str, str] | None:
        """Versions of what runs the candidates of a backend; ``None`` where nothing does."""

    @abstractmethod
    def put(self, candidate: Candidate) -> Candidate:
        """Bring a candidate, or the source model, to where runners load it.

        Returns:
            The same as a runner finds it there, to be run on the hardware that was asked for.
        """

    @abstractmethod
    def start(self, backend: str, log: Path) -> Runner:
        """Start a runner, which imports the runtime of a backend before it is asked for anything.

        Args:
            backend: Whose candidates it will load.
            log: Of this machine; receives what the runner prints.

        Raises:
            DeviceError: It cannot be started.
        """

    def close(self) -> None:  # noqa: B027 - optional
        """Let go of the device; nothing is asked of the target any more."""
