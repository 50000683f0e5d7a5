"""This machine as a target."""

import os
import platform
from pathlib import Path

import psutil

from hamerspace.backends import BACKENDS
from hamerspace.backends.base import Host
from hamerspace.backends.candidate import Candidate
from hamerspace.errors import ConfigError
from hamerspace.measure.memory import available_mb, default_limit_mb
from hamerspace.measure.process import ModelProcess
from hamerspace.measure.runner import Runner
from hamerspace.targets.base import Target
from hamerspace.targets.gpu import find_gpu

_MANY_THREADS = 64
"""May be asked for on any machine, to try what another one would do."""

_TELLING_INSTRUCTIONS = (
    "avx2",
    "avx512f",
    "avx_vnni",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
    "bf16",
)


class LocalTarget(Target):
    """This machine; see :class:`~hamerspace.targets.base.Target` for the arguments.

    Raises:
        HamerspaceError: ``gpu`` without a CUDA device, or threads that would only wait.
    """

    def __init__(
        self,
        threads: int,
        timeout_s: float,
        memory_mb: float | None = None,
        hardware: str = "cpu",
    ) -> None:
        most = max(os.cpu_count() or 1, _MANY_THREADS)
        if threads > most:
            raise ConfigError(
                f"--threads: {threads} is more than the {most} that this machine may be given; "
                f"it has {os.cpu_count()} processors"
            )
        self._gpu = find_gpu() if hardware == "gpu" else None
        self.threads = threads
        self._timeout_s = timeout_s
        self._memory_mb = memory_mb or default_limit_mb()

    def host(self) -> Host:
        machine, flags = platform.machine(), frozenset(_cpu_flags())
        if self._gpu is None:
            return Host(machine, flags)
        return Host(machine, flags, self._gpu.name, self._gpu.capability)

    def environment(self) -> dict[str, str]:
        memory_gb = available_mb() / 1e3
        gpu = self._gpu
        return {
            **({"gpu": gpu.name, "cuda": gpu.cuda} if gpu else {}),
            "processor": _cpu_field("model name") or platform.processor() or platform.machine(),
            **_instructions(),
            "cores": str(psutil.cpu_count()),
            "memory": f"{memory_gb:.0f} GB",
            "system": platform.platform(),
            "python": platform.python_version(),
            "threads per inference": str(self.threads),
            "load average": f"{os.getloadavg()[0]:.2f}",
        }

    def runtime(self, backend: str) -> dict[str, str] | None:
        config = BACKENDS.load(backend)
        return None if config.missing() else config.versions()

    def put(self, candidate: Candidate) -> Candidate:
        if self._gpu is None or "gpu" not in BACKENDS.load(candidate.backend).hardware:
            return candidate
        return candidate.with_runtime({"device": "cuda", **candidate.runtime})

    def start(self, backend: str, log: Path) -> Runner:
        return ModelProcess(self.threads, self._timeout_s, self._memory_mb, log, backend)


def _instructions() -> dict[str, str]:
    """Those of the processor that decide how fast few bits are."""
    flags = _cpu_flags()
    found = [name for name in _TELLING_INSTRUCTIONS if name in flags]
    return {"instructions": ", ".join(found)} if found else {}


def _cpu_flags() -> list[str]:
    """Features of the processor, as x86 and ARM kernels list them."""
    return _cpu_field("flags").split() or _cpu_field("Features").split()


def _cpu_field(name: str) -> str:
    """A field of the first processor in ``/proc/cpuinfo``; empty where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
