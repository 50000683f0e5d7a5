"""The command line. Each command is a module; what it needs is imported when it runs."""

import errno
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from hamerspace.cli.app import app
from hamerspace.errors import HamerspaceError

__all__ = ["app", "main"]

_WRONG_INPUT = 2
_DISK_FULL = frozenset({errno.EDQUOT, errno.ENOSPC})
# What a user can mend: no space, no right to write, a file system that is read-only, and so on.
_USERS_MATTER = frozenset(
    {
        errno.EACCES,
        errno.EDQUOT,
        errno.EISDIR,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOSPC,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
    }
)


def main() -> None:
    """Run the command line.

    A :class:`HamerspaceError` ends it with a message and the error's exit code; so does a file
    that cannot be read or written. SIGINT and SIGTERM end it with 130 and 143 once every process
    that it started is gone; a reader that goes away (``| head``) ends it silently.
    """
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except HamerspaceError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        if error.errno in _DISK_FULL and error.filename is None:
            _silence()
            _fail(f"cannot write: {error.strerror}", _WRONG_INPUT)
        if error.filename is None or error.errno not in _USERS_MATTER:
            raise
        _fail(f"{error.filename}: {error.strerror}", _WRONG_INPUT)
    finally:
        _flush()


def _fail(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"error: {message}\n")
    sys.exit(code)


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    """Unwind as an interrupt does, so that processes and half-written folders go first."""
    sys.exit(128 + number)


def _flush() -> None:
    """Write what is buffered. A reader that went away is no error; a full disk is."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _silence()
        if error.errno in _DISK_FULL:
            _fail(f"cannot write: {error.strerror}", _WRONG_INPUT)


def _silence() -> None:
    """Keep the interpreter from trying again to write what could not be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
