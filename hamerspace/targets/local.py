"""This machine as a target."""

import os
import platform
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy.typing as npt
import psutil

from hamerspace.backends import BACKENDS
from hamerspace.backends.base import Candidate, Host
from hamerspace.errors import ConfigError, SessionError
from hamerspace.measure.latency import LatencyPlan, LatencyRun
from hamerspace.measure.memory import available_mb, default_limit_mb
from hamerspace.measure.outputs import OutputReader, Readable
from hamerspace.measure.process import (
    ModelProcess,
    SourceProcess,
    surviving_a_kill,
    was_killed,
)
from hamerspace.measure.protocol import MeasurementPlan, Protocol
from hamerspace.measure.steps import Beside, LiveSteps
from hamerspace.outcome.measurement import Gate, Latency, Measurement
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
    """Measures on this machine, in processes of its own.

    Args:
        threads: Threads of one inference.
        timeout_s: Wall seconds that one measuring step may take.
        memory_mb: Resident MB that a measuring process may take; default: three quarters.
        hardware: Where models run: ``cpu`` or ``gpu``.

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
        self._threads = threads
        self._timeout_s = timeout_s
        self._memory_mb = memory_mb or default_limit_mb()
        self._reference: ModelProcess | None = None
        self._loaded: tuple[Candidate, dict[str, str], int] | None = None
        self._log = Path(os.devnull)
        self._next: tuple[str, Path, ModelProcess] | None = None

    def host(self) -> Host:
        machine, flags = platform.machine(), frozenset(_cpu_flags())
        if self._gpu is None:
            return Host(machine, flags)
        return Host(machine, flags, self._gpu.name, self._gpu.capability)

    def environment(self) -> dict[str, str]:
        memory_gb = available_mb() / 1e3
        gpu = {}
        if self._gpu is not None:
            gpu = {"gpu": self._gpu.name, "cuda": self._gpu.cuda}
        return {
            **gpu,
            "processor": _cpu_field("model name") or platform.processor() or platform.machine(),
            **_instructions(),
            "cores": str(psutil.cpu_count()),
            "memory": f"{memory_gb:.0f} GB",
            "system": platform.platform(),
            "python": platform.python_version(),
            "threads per inference": str(self._threads),
            "load average": f"{os.getloadavg()[0]:.2f}",
        }

    @surviving_a_kill
    def set_reference(
        self, source: Candidate, inputs: dict[str, str], batch_size: int, log: Path
    ) -> None:
        self.close()
        self._log = log
        source = self._placed(source)
        self._loaded = (source, inputs, batch_size)
        self._reference = self._start(source.backend, log)
        self.expect(source.backend, log)  # it will be timed beside itself
        try:
            self._reference.load(source, inputs, batch_size)
        except SessionError:
            self.close()
            raise

    @surviving_a_kill
    def reference_outputs(
        self, inputs: dict[str, str], rows: int, batch_size: int, output: str
    ) -> npt.NDArray[Any]:
        assert self._loaded is not None
        readable = Readable(inputs, batch_size, output)
        specs = self._loaded[0].inputs
        reader = OutputReader(self._running(), readable, specs)
        try:
            return reader.read(0, rows)
        except SessionError:
            if not reader.was_larger:
                raise
        return OutputReader(self._running(), readable, specs, large=False).read(0, rows)

    @surviving_a_kill
    def measure_reference(
        self, source: Candidate, inputs: dict[str, str], batch_size: int, plan: LatencyPlan
    ) -> Measurement:
        source = self._placed(source)
        with self._start(source.backend, self._log) as second:
            loaded = second.load(source, inputs, batch_size)
            # The source model beside itself: what its ratio's interval shows is the noise.
            run = LatencyRun(second, self._running(), self._threads, None, batch_size)
            latency = run.extend(plan)
        return Measurement(
            Gate.COMPLETE,
            size_mb=source.size_bytes / 1e6,
            load_time_ms=loaded["load_time_ms"],
            peak_memory_mb=loaded["peak_memory_mb"],
            latency=latency,
        )

    def expect(self, backend: str, log: Path) -> None:
        self._drop_next()
        self._next = (backend, log, self._process(backend, log))

    def measure(self, candidate: Candidate, plan: MeasurementPlan, log: Path) -> Measurement:
        reference = self._running()
        measurement = self._measure_beside(reference, candidate, plan, log)
        if measurement.failed and (not reference.alive or was_killed(measurement.reason)):
            # The source model's process died, or another one killed the candidate's, which says
            # nothing of the candidate; twice in a row it does: it takes so much memory, say, that
            # the kernel kills.
            measurement = self._measure_beside(self._running(), candidate, plan, log)
        return measurement

    @surviving_a_kill
    def time_afresh(self, candidate: Candidate | None, plan: LatencyPlan, pair: int) -> Latency:
        assert self._loaded is not None
        source, inputs, batch_size = self._loaded
        self._drop_next()
        if self._reference is not None:
            self._reference.close()  # to make room; it is started again when it is asked for
        model = source if candidate is None else candidate
        with (
            self._process(source.backend, self._log, SourceProcess) as reference,
            self._process(model.backend, self._log) as timed,
        ):
            loads = ((reference, source), (timed, model))
            for process, loaded in reversed(loads) if pair % 2 else loads:
                process.load(loaded, inputs, batch_size)
            return LatencyRun(timed, reference, self._threads, None, batch_size).extend(plan)

    def close(self) -> None:
        with ExitStack() as last:
            if self._reference is not None:
                last.callback(self._reference.close)
                self._reference = None
            last.callback(self._drop_next)

    def _placed(self, source: Candidate) -> Candidate:
        """The source model, to be run on the hardware that candidates are built for."""
        if self._gpu is None or "gpu" not in BACKENDS.load(source.backend).hardware:
            return source
        return source.with_runtime({**source.runtime, "device": "cuda"})

    def _measure_beside(
        self, reference: ModelProcess, candidate: Candidate, plan: MeasurementPlan, log: Path
    ) -> Measurement:
        return Protocol(plan.gates, self.steps(candidate, plan, log, reference)).measure()

    def steps(
        self,
        candidate: Candidate,
        plan: MeasurementPlan,
        log: Path,
        reference: ModelProcess | None = None,
    ) -> LiveSteps:
        """The single steps of measuring a candidate, for those who follow no gates."""
        beside = Beside(reference or self._running(), plan.reference_ms, self._threads)
        return LiveSteps(
            candidate,
            plan.data,
            plan.batch_size,
            beside,
            lambda: self._start(candidate.backend, log),
        )

    def _start(self, backend: str, log: Path) -> ModelProcess:
        """The process that was started ahead, where it is the one that is wanted."""
        if self._next is None or self._next[:2] != (backend, log):
            return self._process(backend, log)
        process, self._next = self._next[2], None
        return process

    def _process(
        self, backend: str, log: Path, kind: type[ModelProcess] = ModelProcess
    ) -> ModelProcess:
        return kind(self._threads, self._timeout_s, self._memory_mb, log, backend)

    def _drop_next(self) -> None:
        if self._next is not None:
            process, self._next = self._next[2], None
            process.close()

    def _running(self) -> ModelProcess:
        """The source model's process, started again where it has died."""
        if self._reference is None or self._loaded is None:
            raise SessionError("set_reference must be called before measuring")
        if not self._reference.alive:
            source, inputs, batch_size = self._loaded
            self.set_reference(source, inputs, batch_size, self._log)
        return self._reference


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
