"""The command line. Each command is a module; what it needs is imported when it runs."""

import errno
import io
import os
import sys
from typing import NoReturn

from hamerspace.cli.app import app
from hamerspace.cli.console import say, show_warnings
from hamerspace.cli.ending import exit_code, listen
from hamerspace.errors import ConfigError, HamerspaceError

__all__ = ["app", "main"]

_WRONG_INPUT = 2
_DISK_FULL = frozenset({errno.EDQUOT, errno.ENOSPC})
# What a user can mend: no space, a file system that is read-only, no right to write, and so on.
_USERS_ERRORS = _DISK_FULL | {errno.ELOOP, errno.ENAMETOOLONG, errno.EROFS}
_USERS_MATTER = (
    *(FileExistsError, FileNotFoundError, PermissionError),
    *(IsADirectoryError, NotADirectoryError),
)


def main() -> None:
    """Run the command line.

    A :class:`HamerspaceError` ends it with a message and the error's exit code; so does a file
    that cannot be read or written. SIGHUP, SIGINT and SIGTERM end it with 129, 130 and 143 once
    every process that it started is gone; a reader that goes away (``| head``) ends it silently.
    """
    _insist_on_utf8()
    listen()
    show_warnings()
    _open_closed_streams()
    try:
        _run()
    except BaseException:
        if exit_code() is None:
            raise
    code = exit_code()
    if code is not None:
        sys.exit(code)


def _run() -> None:
    try:
        _refuse_undecodable()
        app()
    except HamerspaceError as error:
        _fail(str(error), error.exit_code)
    except MemoryError as error:
        _fail(f"not enough memory: {error or 'the system has no more'}", _WRONG_INPUT)
    except RuntimeError as error:
        if not str(error).startswith("Symlink loop"):  # so Python 3.11 says what OSError is for
            raise
        _fail(f"{error}; mend the link", _WRONG_INPUT)
    except OSError as error:
        if error.filename is None and error.errno == errno.ENOENT and _current_folder() is None:
            _fail("the current folder was deleted; change to one that is there", _WRONG_INPUT)
        if error.errno in _DISK_FULL and error.filename is None:
            _silence()
            _fail(f"cannot write: {error.strerror}", _WRONG_INPUT)
        users = isinstance(error, _USERS_MATTER) or error.errno in _USERS_ERRORS
        if error.filename is None or not users:
            raise
        _fail(f"{error.filename}: {error.strerror}", _WRONG_INPUT)
    finally:
        _flush()


def _insist_on_utf8() -> None:
    """Begin again in UTF-8 where the locale would have Python read file names otherwise.

    Runtimes take names of files in UTF-8 whatever the locale, and would not find them.
    """
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        again = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, again, {**os.environ, "PYTHONUTF8": "1"})  # noqa: S606 - ourselves


def _open_closed_streams() -> None:
    """Give a program that was started without its streams (``>&-``) some that lead nowhere.

    The next file to be opened would otherwise be taken for the standard output.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not where a caller captures them
            stream.reconfigure(errors="backslashreplace")


def _current_folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - may be gone
    except OSError:
        return None


def _refuse_undecodable() -> None:
    """Refuse names that no text file, database or page could hold.

    Raises:
        ConfigError: An argument, or the current folder's path, is not UTF-8.
    """
    for text in (*sys.argv[1:], _current_folder() or ""):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ConfigError(f"{text!a}: is no text in UTF-8; rename it") from error


def _fail(message: str, code: int) -> NoReturn:
    say(f"error: {message}", stderr=True)
    sys.exit(code)


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
