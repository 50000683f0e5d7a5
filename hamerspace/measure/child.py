"""The bare process in which one model is run: it imports its runtime, numpy and nothing more.

It answers requests over an inherited socket until that closes. Replies are ``(OK, value)``,
``(ERROR, text)``, or ``(DEVICE, text)`` where the device is at fault. ``(GOING_ON, None)`` comes
once the process is there, and whenever a host sends it as a part is done.
"""

import contextlib
import importlib
import os
import select
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hamerspace.backends import BACKENDS
from hamerspace.backends.base import Session
from hamerspace.backends.candidate import Candidate
from hamerspace.errors import DeviceError
from hamerspace.tasks.example import batches

OK, ERROR, DEVICE, GOING_ON = "ok", "error", "device", "going on"
_TIMED_BATCHES = 32


class ModelHost:
    """Holds one session and runs it on request."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._timed: list[dict[str, Any]] = []
        self._constants: set[str] = set()
        self._row_axes: dict[str, int | None] = {}
        self._next = 0

    def load(
        self, candidate: dict[str, Any], threads: int, inputs: Mapping[str, str], batch_size: int
    ) -> dict[str, float]:
        """Load a candidate, run it ten times and report load time and memory."""
        loaded = Candidate.from_dict(candidate)
        self._constants = {spec.name for spec in loaded.inputs if spec.constant}
        self._row_axes = {spec.name: spec.row_axis for spec in loaded.outputs}
        arrays = {name: np.load(path, mmap_mode="r") for name, path in inputs.items()}
        rows = min(
            next(len(a) for name, a in arrays.items() if name not in self._constants),
            _TIMED_BATCHES * batch_size,
        )
        self._timed = [
            {name: np.array(array) for name, array in batch.items()}
            for batch in batches(arrays, batch_size, rows, self._constants)
        ]
        config = BACKENDS.load(loaded.backend)
        backend = config.create()
        importlib.import_module(loaded.metadata.get("runtime_module", config.runtime))
        before = _reset_peak_memory_bytes()
        started = time.perf_counter_ns()
        self._session = backend.load(loaded, threads)
        load_time_ms = (time.perf_counter_ns() - started) / 1e6
        for index in range(10):
            self._session.run(self._timed[index % len(self._timed)])
        peak = self._session.peak_device_bytes()
        if peak is None:
            peak = max(_status_bytes("VmHWM") - before, 0)
        return {"load_time_ms": load_time_ms, "peak_memory_mb": peak / 1e6}

    def block(self, runs: int) -> tuple[list[int], list[int]]:
        """Run a number of times; return wall and CPU nanoseconds of each run.

        Where a device has its own clock, that stands for both.
        """
        assert self._session is not None
        run, timed, count = self._session.run, self._timed, len(self._timed)
        device = self._session.device_ns(
            [timed[(self._next + index) % count] for index in range(runs)]
        )
        if device is not None:
            self._next += runs
            return device, device
        wall, cpu = [0] * runs, [0] * runs
        wall_clock, cpu_clock = time.perf_counter_ns, time.process_time_ns
        for index in range(runs):
            batch = timed[(self._next + index) % count]
            cpu_start = cpu_clock()
            start = wall_clock()
            run(batch)
            wall[index] = wall_clock() - start
            cpu[index] = cpu_clock() - cpu_start
        self._next += runs
        return wall, cpu

    def evaluate(
        self,
        inputs: Mapping[str, str],
        batch_size: int,
        start: int,
        stop: int,
        outputs: Sequence[str],
    ) -> dict[str, Any]:
        """The outputs ``[stop - start, ...]`` of rows at the deployment batch size, rows first.

        Raises:
            ValueError: An output has another number of entries than the batch has rows, or rows
                of another shape than before.
        """
        assert self._session is not None
        arrays = {}
        for name, path in inputs.items():
            whole = np.load(path, mmap_mode="r")
            arrays[name] = whole if name in self._constants else whole[start:stop]
        parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in outputs}
        for batch in batches(arrays, batch_size, constants=self._constants):
            # Copies: some runtimes refuse read-only memory, and others write their results anew.
            given = {name: np.array(array) for name, array in batch.items()}
            results = self._session.run(given)
            for name, found in parts.items():
                axis = self._row_axes.get(name, 0)
                found.append(_rows_first(np.array(results[name]), axis, batch_size, name))
        # Less what filled up the last batch.
        return {name: joined(found, name)[: stop - start] for name, found in parts.items()}


def joined(parts: Sequence[npt.NDArray[Any]], output: str) -> npt.NDArray[Any]:
    """The rows of some batches of an output as one array.

    Raises:
        ValueError: They are of different shapes.
    """
    one, *others = dict.fromkeys(part.shape[1:] for part in parts)
    if others:
        raise ValueError(
            f"output '{output}' has rows of shape {one} for some data and {others[0]} for others, "
            "which cannot be judged together; fill it up to one size in the model, or judge "
            "another output (task.quality.output)"
        )
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _rows_first(
    array: npt.NDArray[Any], axis: int | None, rows: int, output: str
) -> npt.NDArray[Any]:
    if axis is None or axis >= array.ndim or array.shape[axis] != rows:
        raise ValueError(
            f"output '{output}' is {list(array.shape)} for a batch of {rows}, with no entry for "
            "each row; judge another output (task.quality.output)"
        )
    return np.moveaxis(array, axis, 0)


def _reset_peak_memory_bytes() -> int:
    """Reset the kernel's record of peak resident memory; return what is resident now."""
    with contextlib.suppress(OSError):  # some containers refuse; then the peak includes imports
        Path("/proc/self/clear_refs").write_text("5")
    return _status_bytes("VmRSS")


def _status_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return 0


def _end_with_caller(descriptor: int) -> None:
    """End the process, whatever it computes, once the other end of the socket is closed.

    The caller may have been killed. The thread sleeps in the kernel until then, so it costs no
    measurement anything.
    """
    hang_up = select.poll()
    hang_up.register(descriptor, select.POLLRDHUP)
    hang_up.poll()
    os._exit(0)


def main() -> None:
    """Serve until the socket closes."""
    connection = connect(int(sys.argv[2]))
    with contextlib.suppress(Exception):  # what is wrong shows when it is asked to load
        importlib.import_module(BACKENDS.load(sys.argv[1]).runtime)
    serve(ModelHost(), connection)


def connect(descriptor: int) -> Connection:
    """The socket that requests come from, told that this process is there; with it that ends."""
    connection = Connection(descriptor)
    connection.send((GOING_ON, None))
    threading.Thread(target=_end_with_caller, args=(connection.fileno(),), daemon=True).start()
    return connection


def serve(host: object, connection: Connection) -> None:
    """Answer requests, the names of methods of ``host`` and their arguments, until the end."""
    while True:
        try:
            name, arguments = connection.recv()
        except EOFError:
            return
        try:
            reply = (OK, getattr(host, name)(**arguments))
        except DeviceError as error:
            reply = (DEVICE, str(error))
        except BaseException as error:  # noqa: BLE001 - whatever it raises is the answer
            traceback.print_exc()
            reply = (ERROR, "".join(traceback.format_exception_only(error)).strip())
        connection.send(reply)


if __name__ == "__main__":
    main()
