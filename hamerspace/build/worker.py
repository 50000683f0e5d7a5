"""Run functions in isolation: a crash, a hang or a flood of memory becomes an outcome."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from hamerspace import errors
from hamerspace.environments.launch import process_variables
from hamerspace.errors import HamerspaceError, SessionError
from hamerspace.measure.memory import default_limit_mb
from hamerspace.measure.process import was_killed


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        status: ``ok``, ``refused`` (a :class:`HamerspaceError`), ``error`` (another exception),
            ``crashed`` (a signal), ``timeout`` or ``memory``.
        value: What the function returned, where it did.
        error: One line for people, otherwise.
        error_type: Name of the :class:`HamerspaceError` where refused.
    """

    status: str
    value: Any = None
    error: str = ""
    error_type: str = ""

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    @property
    def killed(self) -> bool:
        """Whether SIGKILL ended it, which only another process sends."""
        return self.status == "crashed" and was_killed(self.error)

    def unwrap(self, what: str) -> Any:
        """The value.

        Raises:
            HamerspaceError: The error of the job, of the type it was raised with.
        """
        if self.ok:
            return self.value
        if self.status == "refused":
            raise getattr(errors, self.error_type, HamerspaceError)(self.error)
        raise HamerspaceError(f"{what}: {self.error}")


# Threads that spin while they wait make a busy machine crawl.
_DEFAULTS = {"OMP_WAIT_POLICY": "PASSIVE", "TF_CPP_MIN_LOG_LEVEL": "2"}
# Jobs convert Keras models with TensorFlow's tools, and NNCF reports usage unless told not to.
_FIXED = {"KERAS_BACKEND": "tensorflow", "NNCF_CI": "1"}


class Worker(AbstractContextManager["Worker"]):
    """Hands jobs, one at a time, to a server process that starts on first use.

    Args:
        python: Interpreter of the tool environment to run on; default: our own.
    """

    def __init__(self, python: Path | None = None) -> None:
        self._python = python
        self._process: subprocess.Popen[str] | None = None
        self._preloaded: tuple[str, ...] = ()
        self._replies: Any = None

    def start(self) -> None:
        """Start the server, so that its imports go on while the caller does something else."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        variables = dict(os.environ) if self._python is None else process_variables(self._python)
        read_fd, write_fd = os.pipe()
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [
                str(self._python or sys.executable),
                *("-P", "-m", "hamerspace.build.server", str(write_fd)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
            pass_fds=(write_fd,),
            env={**_DEFAULTS, **variables, **_FIXED},
        )
        os.close(write_fd)
        self._replies = os.fdopen(read_fd)
        if self._preloaded:
            self._send({"preload": list(self._preloaded)})

    def preload(self, modules: Sequence[str]) -> None:
        """Import modules in the server, for all jobs to come; does not wait for it."""
        self._preloaded = tuple(dict.fromkeys([*self._preloaded, *modules]))
        self.start()
        self._send({"preload": list(modules)})

    def settle(self) -> None:
        """Wait until the server has nothing to do, so that something can be timed.

        One that has died has nothing to do; the next job starts another.
        """
        if self._process is not None:
            with contextlib.suppress(SessionError):
                self._ask({"settle": True})

    def call(
        self,
        function: str,
        arguments: Mapping[str, Any],
        log: Path,
        timeout_s: float,
        memory_mb: float | None = None,
    ) -> Outcome:
        """Run ``module:function`` with JSON-representable arguments and result.

        It starts in the working directory that the caller has now.

        Where the server itself dies, which says nothing of the job, the job is run once more on
        a new one. If that dies too, the job is what both had in common: it has crashed. So it is
        with a job that another process kills, be it the kernel for want of memory.

        Args:
            function: Import string.
            arguments: Keyword arguments.
            log: Receives the standard output and error of the job.
            timeout_s: Wall seconds after which it is killed.
            memory_mb: Resident MB beyond which it is killed; default: see
                :func:`~hamerspace.measure.memory.default_limit_mb`.

        Raises:
            SessionError: No server can be started.
        """
        request: dict[str, Any] = {
            "function": function,
            "arguments": dict(arguments),
            "log": str(log),
            "timeout_s": timeout_s,
            "memory_bytes": (memory_mb or default_limit_mb()) * 1e6,
        }
        with contextlib.suppress(FileNotFoundError):  # it may have been deleted
            request["cwd"] = str(Path.cwd())
        outcome = self._run(request)
        return self._run(request) if outcome.killed else outcome

    def _run(self, request: Mapping[str, Any]) -> Outcome:
        self.start()
        try:
            return Outcome(**self._ask(request))
        except SessionError:
            self._start_again()
            try:
                return Outcome(**self._ask(request))
            except SessionError as error:
                return Outcome("crashed", error=f"twice, {error}")

    def _start_again(self) -> None:
        self.start()
        try:
            self._ask({"settle": True})
        except SessionError as error:
            raise SessionError(
                f"no build server stays up on {self._python or sys.executable}; the machine may be "
                "out of memory, or the packages of that interpreter broken"
            ) from error

    def close(self) -> None:
        """End the server and whatever it runs."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    child.kill()
        process.kill()
        process.wait()
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        self._replies.close()

    def _send(self, request: Mapping[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # reading the answer will tell
            self._process.stdin.write(json.dumps(request) + "\n")

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._send(request)
        line = self._replies.readline()
        if not line:
            self.close()
            raise SessionError(
                "the build server ended unexpectedly; another process may have killed it, or the "
                "machine ran out of memory"
            )
        reply: dict[str, Any] = json.loads(line)
        return reply

    def __exit__(self, *_: object) -> None:
        self.close()
