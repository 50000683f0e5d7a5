"""Signals end the program, wherever they find it, and with our exit codes only."""

import signal
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_received: list[int] = []


class Signalled(KeyboardInterrupt):
    """A signal unwinds what runs, as an interrupt does; code that is not ours raises no such."""


def listen() -> None:
    """Unwind at a signal, so that processes and half-written folders go first.

    What ignores one, such as ``nohup`` or a shell that starts it in its background, is left so.
    """
    _received.clear()
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _unwind)


def exit_code() -> int | None:
    """Of the signal that was received; ``None`` without one."""
    return 128 + _received[0] if _received else None


def refuse_signalled() -> None:
    """Unwind where a signal was received and its exception lost on the way.

    An exception may come up where nobody can pass it on, as in a callback of C code, or within an
    import that takes every error for a missing package.
    """
    if _received:
        raise Signalled


def heed_interrupt() -> None:
    """Let an interrupt be the way in which a command is meant to end."""
    _received[:] = [number for number in _received if number != signal.SIGINT]


def _unwind(number: int, _frame: FrameType | None) -> NoReturn:
    _received.append(number)
    raise Signalled
