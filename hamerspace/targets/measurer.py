"""Models measured on a target, one at a time, each beside the source model."""

from collections.abc import Mapping
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path

from hamerspace.backends.candidate import Candidate
from hamerspace.errors import HamerspaceError, SessionError
from hamerspace.measure.latency import LatencyPlan, LatencyRun
from hamerspace.measure.outputs import OutputReader, Readable, save_rows
from hamerspace.measure.process import surviving_a_fault, was_killed
from hamerspace.measure.protocol import MeasurementPlan, Protocol
from hamerspace.measure.runner import Runner, of_the_source
from hamerspace.measure.steps import LiveSteps
from hamerspace.outcome.measurement import Gate, Latency, Measurement
from hamerspace.targets.base import Target


class Measurer:
    """Measures on one target, for one source model. Close it when done, before the target.

    It owns every runner that it has the target start, and is used from one thread. What says
    nothing of a model, such as a fault of the device, is tried once more before it is raised.

    Args:
        target: Where.
        source: The source model, beside which every candidate is timed.
        inputs: Input name to the path of its ``.npy`` file, whose first rows are timed.
        batch_size: The deployment batch size.
        log: Receives what the source model's runner prints.
    """

    def __init__(
        self,
        target: Target,
        source: Candidate,
        inputs: Mapping[str, str],
        batch_size: int,
        log: Path,
    ) -> None:
        self._target = target
        self._source = source
        self._inputs = inputs
        self._batch_size = batch_size
        self._log = log
        self._reference: Runner | None = None
        self._next: tuple[str, Path, Runner] | None = None

    @surviving_a_fault
    def start(self) -> Runner:
        """The source model's runner, which stays this object's, started anew where it has died.

        Raises:
            SessionError: The source model cannot be loaded or run.
            DeviceError: The device is at fault.
        """
        if self._reference is not None and self._reference.alive:
            return self._reference
        self.close()
        self._reference = reference = self._target.start(self._source.backend, self._log)
        self.expect(self._source.backend, self._log)  # it will be timed beside itself
        try:
            self._load(reference, self._source)
        except HamerspaceError:
            self.close()
            raise
        return reference

    @surviving_a_fault
    def write_source_output(
        self, inputs: Mapping[str, str], rows: int, output: str, path: Path
    ) -> None:
        """Write the source model's named output on all rows of the input files as a ``.npy`` file.

        Raises:
            SessionError: The source model cannot be run.
            DeviceError: The device is at fault.
        """
        readable = Readable(inputs, self._batch_size, (output,))
        for large in (True, False):
            reader = OutputReader(self.start(), readable, self._source.inputs, large=large)
            try:
                save_rows((part[output] for part in reader.read(0, rows)), rows, path)
            except SessionError:
                if not reader.was_larger:
                    raise
            else:
                return

    @surviving_a_fault
    def measure_source(self, plan: LatencyPlan) -> Measurement:
        """Size, memory, load time and latency of the source model beside itself.

        What its ratio's interval shows is the noise.

        Raises:
            SessionError: The source model cannot be loaded or run.
            DeviceError: The device is at fault.
        """
        reference = self.start()
        with closing(self._started(self._source.backend, self._log)) as second:
            loaded = self._load(second, self._source)
            latency = self._timing(second, reference).extend(plan)
        return Measurement(
            Gate.COMPLETE,
            size_mb=self._source.size_bytes / 1e6,
            load_time_ms=loaded["load_time_ms"],
            peak_memory_mb=loaded["peak_memory_mb"],
            latency=latency,
        )

    @surviving_a_fault
    def expect(self, backend: str, log: Path) -> None:
        """A candidate of this backend is about to be built and then measured with this log.

        Its runner is started ahead, so that its imports go on beside the build.

        Raises:
            DeviceError: The runner cannot be started.
        """
        self._drop_next()
        self._next = (backend, log, self._target.start(backend, log))

    def measure(self, candidate: Candidate, plan: MeasurementPlan, log: Path) -> Measurement:
        """Measure a candidate in a fresh runner; its failures are observations.

        Raises:
            DeviceError: The device is at fault.
        """
        reference = self.start()
        measurement = self._measure(candidate, plan, log)
        if measurement.failed and (not reference.alive or was_killed(measurement.reason)):
            # The source model's process died, or another one killed the candidate's, which says
            # nothing of the candidate; twice in a row it does: it takes so much memory, say, that
            # the kernel kills.
            measurement = self._measure(candidate, plan, log)
        return measurement

    @surviving_a_fault
    def time_afresh(self, candidate: Candidate | None, plan: LatencyPlan, pair: int) -> Latency:
        """Latency in a runner started for this, beside a source model started for this.

        The latency in ms is that of this runner.

        Args:
            candidate: What is timed; ``None`` is the source model.
            plan: When to stop.
            pair: How many such pairs there were: which of the two is loaded first takes turns.

        Raises:
            SourceSessionError: The source model cannot be loaded or run.
            SessionError: The candidate cannot.
            DeviceError: The device is at fault.
        """
        self.close()  # to make room; the source model is loaded again when it is asked for
        model = candidate or self._source
        with (
            closing(self._target.start(self._source.backend, self._log)) as reference,
            closing(self._target.start(model.backend, self._log)) as timed,
        ):
            loads = ((reference, self._source), (timed, model))
            for runner, loaded in reversed(loads) if pair % 2 else loads:
                with of_the_source() if runner is reference else nullcontext():
                    self._load(runner, loaded)
            return self._timing(timed, reference).extend(plan)

    def steps(self, candidate: Candidate, plan: MeasurementPlan, log: Path) -> LiveSteps:
        """The single steps of measuring a candidate, for those who follow no gates."""
        reference = self.start()
        return LiveSteps(
            candidate,
            plan.data,
            plan.batch_size,
            lambda: self._started(candidate.backend, log),
            self._target.put,
            lambda runner: self._timing(runner, reference, plan.reference_ms),
        )

    def close(self) -> None:
        """End every runner."""
        with ExitStack() as last:
            if self._reference is not None:
                last.callback(self._reference.close)
                self._reference = None
            last.callback(self._drop_next)

    @surviving_a_fault
    def _measure(self, candidate: Candidate, plan: MeasurementPlan, log: Path) -> Measurement:
        return Protocol(plan.gates, self.steps(candidate, plan, log)).measure()

    def _load(self, runner: Runner, model: Candidate) -> dict[str, float]:
        return runner.load(self._target.put(model), self._inputs, self._batch_size)

    def _timing(
        self, timed: Runner, reference: Runner, reference_ms: float | None = None
    ) -> LatencyRun:
        threads = self._target.threads
        return LatencyRun(timed, reference, threads, reference_ms, self._batch_size)

    def _started(self, backend: str, log: Path) -> Runner:
        """The runner that was started ahead, where it is the one that is wanted."""
        if self._next is None or self._next[:2] != (backend, log):
            return self._target.start(backend, log)
        runner, self._next = self._next[2], None
        return runner

    def _drop_next(self) -> None:
        if self._next is not None:
            runner, self._next = self._next[2], None
            runner.close()
