"""The process that builds fork from: it imports the frameworks once and runs nothing itself.

Forking after imports is safe; forking after a framework has run is not (its thread pools do not
survive). A job therefore runs in a child of this process, which dies with its job. Requests come
as JSON lines on standard input, answers go as JSON lines to the descriptor named in the arguments.

``multiprocessing``'s own fork server would import the caller's ``__main__`` again in each child,
which runs an unguarded user script twice; this one knows nothing of the caller.
"""

import contextlib
import ctypes
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from hamerspace._registry import import_string
from hamerspace.build.faults import disk_faults
from hamerspace.errors import HamerspaceError

_POLL_S = 0.01
_PR_SET_PDEATHSIG = 1  # of <linux/prctl.h>
_PAGE_BYTES = resource.getpagesize()


def main() -> None:
    """Serve until standard input closes, which it does when the caller ends."""
    reply_fd = int(sys.argv[1])
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with os.fdopen(reply_fd, "w", buffering=1) as replies:
        for line in sys.stdin:
            request = json.loads(line)
            if "preload" in request:
                _preload(request["preload"])
            elif "settle" in request:
                replies.write("{}\n")
            else:
                replies.write(json.dumps(_serve(request, reply_fd)) + "\n")


def _preload(modules: list[str]) -> None:
    """Import what is there of these modules; a broken one shows in the job that needs it."""
    for module in modules:
        with contextlib.suppress(Exception):
            importlib.import_module(module)


def _serve(request: dict[str, Any], reply_fd: int) -> dict[str, Any]:
    """Run one job in a child and watch its time and memory."""
    read_fd, write_fd = os.pipe()
    started, server = time.monotonic(), os.getpid()
    inherited_bytes = _resident_bytes(server)
    child = os.fork()
    if child == 0:
        _die_with(server)
        os.close(read_fd)
        os.close(reply_fd)  # else the caller would not see the end of a server that is killed
        _run_child(request, write_fd)
    os.close(write_fd)
    with contextlib.suppress(OSError):  # the child does the same; whoever is first
        os.setpgid(child, child)
    os.set_blocking(read_fd, False)
    parent, answer = os.getppid(), b""
    verdict: str | None = None
    status = 0
    while True:
        answer += _drain(read_fd)
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if verdict is None:
            if os.getppid() != parent:
                verdict = "orphaned"
            elif time.monotonic() - started > request["timeout_s"]:
                verdict = "timeout"
            elif _resident_bytes(child) - inherited_bytes > request["memory_bytes"]:
                verdict = "memory"
            if verdict is not None:
                os.killpg(child, signal.SIGKILL)
        time.sleep(_POLL_S)
    answer += _drain(read_fd)
    os.close(read_fd)
    # A job's own helpers must not outlive it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if verdict == "orphaned":
        sys.exit(1)
    return _reply(request, verdict, status, answer)


def _reply(
    request: dict[str, Any], verdict: str | None, status: int, answer: bytes
) -> dict[str, Any]:
    if verdict == "timeout":
        return {"status": "timeout", "error": f"took longer than {request['timeout_s']:g} s"}
    if verdict == "memory":
        megabytes = request["memory_bytes"] / 1e6
        return {"status": "memory", "error": f"took more than {megabytes:,.0f} MB of memory"}
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return {"status": "crashed", "error": f"the process was killed by {name}"}
    if not answer:
        code = os.waitstatus_to_exitcode(status)
        return {"status": "crashed", "error": f"the process exited with code {code}"}
    reply: dict[str, Any] = json.loads(answer)
    return reply


def _run_child(request: dict[str, Any], write_fd: int) -> None:
    """Run the job, send the answer, and end without any clean-up of the parent's."""
    os.setpgid(0, 0)
    if "cwd" in request:
        os.chdir(request["cwd"])
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with disk_faults(Path(request["log"]).parent):
            value = import_string(request["function"])(**request["arguments"])
        answer = {"status": "ok", "value": value}
    except HamerspaceError as error:
        traceback.print_exc()
        answer = {"status": "refused", "error": str(error), "error_type": type(error).__name__}
    except MemoryError as error:
        traceback.print_exc()
        answer = {"status": "memory", "error": f"out of memory: {error}"}
    except BaseException as error:  # noqa: BLE001 - whatever ends the job is its outcome
        traceback.print_exc()
        last = "".join(traceback.format_exception_only(error)).strip()
        answer = {"status": "error", "error": last}
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    data = json.dumps(answer).encode()
    while data:
        data = data[os.write(write_fd, data) :]
    os._exit(0)


def _die_with(server: int) -> None:
    """Have the kernel kill this process when the server ends, be it by SIGKILL."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:
        os._exit(1)


def _drain(descriptor: int) -> bytes:
    chunks = []
    with contextlib.suppress(BlockingIOError):
        while chunk := os.read(descriptor, 1 << 16):
            chunks.append(chunk)
    return b"".join(chunks)


def _resident_bytes(process: int) -> int:
    """Resident memory less mapped files. A job starts with that of the server's imports."""
    try:
        fields = Path(f"/proc/{process}/statm").read_text().split()
    except OSError:
        return 0
    return (int(fields[1]) - int(fields[2])) * _PAGE_BYTES


if __name__ == "__main__":
    main()
