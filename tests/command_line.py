"""The real command line, as a program and in this process, which spares what it imports."""

import ctypes
import signal
import sys
from dataclasses import dataclass

import pytest

PROGRAM = (sys.executable, "-c", "from hamerspace.cli import main; main()")
_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class _SignalStack(ctypes.Structure):
    """``stack_t`` of <signal.h>."""

    _fields_ = (("pointer", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


_DISABLED = _SignalStack(None, 2, 0)  # SS_DISABLE


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


def caller(monkeypatch, capsys):
    """Yield ``call(*arguments)``, which runs the command line in this process."""
    from hamerspace.cli import main

    # Where OpenVINO has run, its CPU plug-in may leave a signal stack that is no longer there, and
    # the next signal is the end of the process.
    assert ctypes.CDLL(None).sigaltstack(ctypes.byref(_DISABLED), None) == 0
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def run(*arguments, columns=160):
        monkeypatch.setattr(sys, "argv", ["hamerspace", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Ended(ended.value.code or 0, out, err)

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)
