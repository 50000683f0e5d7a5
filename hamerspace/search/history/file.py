"""The file that keeps what earlier studies found. What is wrong within it stops no search."""

import contextlib
import errno
import fcntl
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from hamerspace._files import free_name, write_text
from hamerspace.environments import data_folder
from hamerspace.errors import ConfigError, RunFolderError
from hamerspace.search.history.entry import VERSION, Document, Entry

logger = logging.getLogger(__name__)

MOST_STUDIES = 200
"""The oldest go first."""

_BEGINS = re.compile(rb'\s*\{\s*"version":\s*\d+,\s*"studies":')
_STRANGER = "it is no history of Hamerspace"


def default_history_file() -> Path:
    """``$HAMERSPACE_HISTORY``, or ``history.json`` in the user's data folder."""
    chosen = os.environ.get("HAMERSPACE_HISTORY")
    return Path(chosen).absolute() if chosen else data_folder() / "history.json"


class HistoryFile:
    """Finished studies, the latest last.

    A file that begins as a history and cannot be understood is renamed, with a warning, and a new
    one begun. Where that fails, or something else stands there, there is a warning once and then
    no history.

    Args:
        path: Need not exist; its folder is made when something is kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._usable = True

    def refuse_strangers(self) -> None:
        """Refuse a folder, or a file that somebody else wrote.

        Raises:
            ConfigError: There is one.
        """
        with contextlib.suppress(OSError):  # what cannot be looked at is told when it is read
            if (self.path.is_file() or self.path.is_dir()) and not self._is_ours():
                raise ConfigError(
                    f"HAMERSPACE_HISTORY: {self.path} is no history of Hamerspace, and is left as "
                    "it is; name another file, or search with --no-history"
                )

    def read(self) -> tuple[Entry, ...]:
        """The studies that are kept; empty without a file."""
        if not self._usable:
            return ()
        with contextlib.suppress(_DamagedError):
            return self._load()
        with self._or_give_up(), self._locked():
            return self._load_or_set_aside()
        return ()

    def add(self, entry: Entry) -> None:
        """Keep a study, in place of what was kept of it before."""
        if not self._usable:
            return
        with self._or_give_up(), self._locked():
            others = [e for e in self._load_or_set_aside() if e.identity != entry.identity]
            document = Document(studies=(*others, entry)[-MOST_STUDIES:])
            write_text(self.path, document.model_dump_json(indent=1) + "\n")

    def _is_ours(self) -> bool:
        """Whether there is a file, and one that begins as a history does."""
        if not self.path.is_file():
            return False
        with self.path.open("rb") as stream:
            return _BEGINS.match(stream.read(64)) is not None

    def _load(self) -> tuple[Entry, ...]:
        try:
            if self.path.exists() and not self._is_ours():
                raise _DamagedError(_STRANGER)
            text = self.path.read_text(encoding="utf-8")
            return Document.model_validate_json(text).studies
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:
            raise _DamagedError(_what_is_wrong(error)) from error

    def _load_or_set_aside(self) -> tuple[Entry, ...]:
        """What there is; the lock is held, so another process does not do the same."""
        try:
            return self._load()
        except _DamagedError as error:
            if not self._is_ours():
                raise OSError(errno.EINVAL, _STRANGER) from error
            aside = free_name(self.path, "damaged")
            self.path.rename(aside)
            logger.warning(
                "%s: the history of earlier studies cannot be used (%s); it was set aside as %s "
                "and a new one is begun",
                self.path,
                error,
                aside.name,
            )
            return ()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from changing the file meanwhile; they take milliseconds."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(f".{self.path.name}.lock").open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _or_give_up(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RunFolderError) as error:
            self._usable = False
            logger.warning(
                "%s: the history of earlier studies cannot be used (%s); the search goes on "
                "without it",
                self.path,
                error.strerror if isinstance(error, OSError) else error,
            )


class _DamagedError(Exception):
    """The file holds no history that this version knows."""


def _what_is_wrong(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        if first["loc"] == ("version",) and isinstance(first["input"], int):
            which = "a newer" if first["input"] > VERSION else "another"
            return f"it is of {which} version of Hamerspace"
        where = ".".join(str(step) for step in first["loc"])
        return f"{where}: {first['msg']}" if where else first["msg"]
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
