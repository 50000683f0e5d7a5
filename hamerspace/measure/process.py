"""Run one model, or a user's metric, in a process of its own, and survive whatever it does."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import psutil

from hamerspace.backends import BACKENDS
from hamerspace.backends.candidate import Candidate
from hamerspace.environments import environment_python, install_hint
from hamerspace.environments.launch import process_variables
from hamerspace.errors import DeviceError, HamerspaceError, SessionError, SourceSessionError
from hamerspace.measure.child import DEVICE, ERROR, GOING_ON

P = ParamSpec("P")
T = TypeVar("T")

_POLL_S = 0.2
_ENDING_S = 5.0
_STARTING_S = 60.0
_LOOK = os.WEXITED | os.WNOHANG | os.WNOWAIT
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)


def was_killed(error: str) -> bool:
    """Whether an error says that SIGKILL ended a process: its own doing it never is."""
    return error.endswith(signal.SIGKILL.name)


def surviving_a_fault(step: Callable[P, T]) -> Callable[P, T]:
    """Take a step once more where what ended it says nothing of what it ran.

    That is a fault of the device, a failure of the source model beside a candidate, or a process
    that was killed. Twice in a row the last does tell: it takes so much memory, say, that the
    kernel kills.
    """

    @wraps(step)
    def taken(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return step(*arguments, **named)
        except (DeviceError, SourceSessionError):
            pass
        except SessionError as error:
            if not was_killed(str(error)):
                raise
        return step(*arguments, **named)

    return taken


class ChildProcess:
    """A process that answers requests one at a time, within limits of time and memory.

    Args:
        command: What is run; the number of its end of a socket is added.
        variables: Its environment.
        timeout_s: Wall seconds that one request may take, or each part of it that the process
            tells the end of.
        memory_mb: Resident MB that the process may take.
        log: Receives what the process prints.

    Raises:
        DeviceError: It cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        timeout_s: float,
        memory_mb: float,
        log: Path,
    ) -> None:
        self._timeout_s = timeout_s
        self._memory_mb = memory_mb
        self._log = log
        self._started = False
        ours, theirs = socket.socketpair()
        with theirs, log.open("ab") as stream:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - our own module
                    [*command, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=stream,
                    pass_fds=(theirs.fileno(),),
                    env=variables,
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise self._failure("start", str(error)) from error
        self._connection = Connection(ours.detach())

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.returncode is None and not self._has_ended()

    def close(self) -> None:
        """End the process."""
        try:
            self._connection.close()
        finally:
            self._kill()

    def _call(self, name: str, **arguments: Any) -> Any:
        try:
            self._connection.send((name, arguments))
            status, value = self._answer(name)
        except (EOFError, OSError) as error:
            raise self._failure(name, self._end()) from error
        except BaseException:
            # Its answer, should it ever come, would be taken for that of the next request.
            self._kill()
            raise
        if status == DEVICE:
            raise DeviceError(value)
        if status == ERROR:
            raise SessionError(f"{name}: {value}")
        return value

    def _answer(self, name: str) -> tuple[str, Any]:
        limit_s = self._timeout_s if self._started else max(self._timeout_s, _STARTING_S)
        deadline = time.monotonic() + limit_s
        while True:
            if self._connection.poll(_POLL_S):
                status, value = self._connection.recv()
                self._started = True
                if status != GOING_ON:
                    return status, value
                limit_s = self._timeout_s
                deadline = time.monotonic() + limit_s
            elif time.monotonic() > deadline:
                raise self._failure(name, f"took longer than {limit_s:g} s")
            with contextlib.suppress(psutil.Error):
                resident_mb = psutil.Process(self._process.pid).memory_info().rss / 1e6
                if resident_mb > self._memory_mb:
                    raise SessionError(
                        f"{name}: took more than {self._memory_mb:,.0f} MB of memory"
                    )

    def _failure(self, name: str, why: str) -> HamerspaceError:
        """What a request met: before the process has said that it is there, the device's doing."""
        if self._started:
            return SessionError(f"{name}: {why}")
        return DeviceError(
            f"a process that runs models cannot be started ({why}); {self._log} has what it "
            "printed. The machine may be out of memory; give the command again"
        )

    def _has_ended(self) -> bool:
        # Left to be waited for: until then nobody else's process can get its number.
        return os.waitid(os.P_PID, self._process.pid, _LOOK) is not None

    def _kill(self) -> None:
        """End the process and those that it started; once it is waited for, nothing."""
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _end(self) -> str:
        """How a process ended that has closed its connection."""
        deadline = time.monotonic() + min(self._timeout_s, _ENDING_S)
        while self.alive and time.monotonic() < deadline:
            time.sleep(0.01)
        went_on = self.alive
        self._kill()
        code = self._process.returncode
        if went_on:
            return "the process closed its connection and went on"
        if code < 0:
            return f"the process was killed by {signal.Signals(-code).name}"
        return f"the process exited with code {code}"


class ModelProcess(ChildProcess):
    """A :class:`~hamerspace.measure.runner.Runner` on this machine.

    Args:
        threads: Threads of one inference.
        timeout_s: Wall seconds that one request may take.
        memory_mb: Resident MB that the process may take.
        log: Receives what the process prints.
        backend: Whose runtime it imports at once, before it is asked to load anything; the
            process runs on the interpreter of that backend's tool environment, where it has one.

    Raises:
        DeviceError: That tool environment is not installed.
    """

    def __init__(
        self, threads: int, timeout_s: float, memory_mb: float, log: Path, backend: str
    ) -> None:
        self._threads = threads
        python, variables = _interpreter(backend)
        limits = dict.fromkeys(_THREAD_VARIABLES, str(threads))
        # -P: not what lies in this folder.
        command = [python, "-P", "-m", "hamerspace.measure.child", backend]
        super().__init__(command, {**variables, **limits}, timeout_s, memory_mb, log)

    def load(
        self, candidate: Candidate, inputs: Mapping[str, str], batch_size: int
    ) -> dict[str, float]:
        value: dict[str, float] = self._call(
            "load",
            candidate=candidate.to_dict(),
            threads=self._threads,
            inputs=dict(inputs),
            batch_size=batch_size,
        )
        return value

    def block(self, runs: int) -> tuple[list[int], list[int]]:
        value: tuple[list[int], list[int]] = self._call("block", runs=runs)
        return value

    def evaluate(
        self,
        inputs: Mapping[str, str],
        batch_size: int,
        start: int,
        stop: int,
        outputs: Sequence[str],
    ) -> dict[str, Any]:
        value: dict[str, Any] = self._call(
            "evaluate",
            inputs=dict(inputs),
            batch_size=batch_size,
            start=start,
            stop=stop,
            outputs=tuple(outputs),
        )
        return value


def _interpreter(backend: str) -> tuple[str, dict[str, str]]:
    """The interpreter that a backend is measured on, and its environment variables."""
    name = BACKENDS.load(backend).environment
    if name is None:
        return sys.executable, dict(os.environ)
    python = environment_python(name)
    if python is None:
        raise DeviceError(f"{backend} runs in a tool environment; install it: {install_hint(name)}")
    return str(python), process_variables(python)
