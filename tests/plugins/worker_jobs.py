"""Jobs for the build worker: well-behaved ones and others."""

import os
import subprocess
import sys
from pathlib import Path

import hamerspace_unruly

from hamerspace.errors import BuildError, DataError


def add(a, b):
    print("adding", a, b)  # noqa: T201 - for the log of the job
    return {"sum": a + b, "pid": os.getpid()}


def refuse():
    raise DataError("the data are empty")


def refuse_build():
    raise BuildError("no such operator")


def give_up():
    hamerspace_unruly.misbehave("raises")


def leave(code):
    os._exit(code)


def misbehave(how, note=None):
    if note is not None:
        Path(note).write_text(str(os.getpid()))
    hamerspace_unruly.misbehave(how)


def long_answer(length):
    return "x" * length


def leave_a_helper():
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    return subprocess.Popen(command).pid
