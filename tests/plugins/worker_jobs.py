"""Jobs for the build worker: well-behaved ones and others."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import hamerspace_unruly

from hamerspace.errors import BuildError, DataError


def add(a, b):
    print("adding", a, b)  # noqa: T201 - for the log of the job
    return {"sum": a + b, "pid": os.getpid()}


def refuse():
    raise DataError("the data are empty")


def fill_the_disk():
    hamerspace_unruly.misbehave("fills_the_disk")


def refuse_build():
    raise BuildError("no such operator")


def give_up():
    hamerspace_unruly.misbehave("raises")


def leave(code):
    os._exit(code)


def kill_the_server(note, times):
    """Kill it as often as this, from one job to the next, and hold the last one up."""
    path = Path(note)
    told = path.read_text() if path.exists() else ""
    if len(told) < times:
        path.write_text(told + "x")
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return told


def misbehave(how, note=None):
    if note is not None:
        Path(note).write_text(str(os.getpid()))
    hamerspace_unruly.misbehave(how)


def long_answer(length):
    return "x" * length


def leave_a_helper():
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    return subprocess.Popen(command).pid


def die_once(note):
    """Be killed by the kernel, say, the first time."""
    first = not Path(note).exists()
    Path(note).touch()
    if first:
        os.kill(os.getpid(), signal.SIGKILL)
