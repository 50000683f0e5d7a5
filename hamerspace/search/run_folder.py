"""The folder that a study's outputs go to, held by one process at a time."""

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from pydantic_core import to_jsonable_python

from hamerspace._files import free_name, read_regular, remove, write_text
from hamerspace._optuna import sqlite_url
from hamerspace._schema import from_json
from hamerspace.errors import RunFolderError
from hamerspace.recipe import Recipe
from hamerspace.search.run_files import SCHEMAS

RUN_FILE = "run.json"
RESULT_FILE = "result.json"
FACTS_FILE = "facts.json"
SOURCE_FILE = "source.json"
STUDY_DB = "study.db"
_LOGS = "artifacts"
_LOCK_FILE = ".lock"
_OURS = re.compile(
    r"(run|result|facts|source|sensitivity)\.json$|study\.db|report\.html$|\.lock$|"
    r"(artifacts|inputs|\.?best|\.best-old)$"
)
"""Names of what a search writes into its folder."""
_MOST_BYTES = 100_000_000


@dataclass(frozen=True)
class RunFolder:
    """Paths within the folder of a study.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def run_file(self) -> Path:
        return self.path / RUN_FILE

    @property
    def best(self) -> Path:
        return self.path / "best"

    @property
    def inputs(self) -> Path:
        """The model and the data, where they were given in memory."""
        return self.path / "inputs"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def storage_url(self) -> str:
        return sqlite_url(self.path / STUDY_DB)

    @property
    def is_writable(self) -> bool:
        """Whether this process may write what a search writes; of a folder to be made, yes."""
        parts = (self.path, self.path / _LOGS)
        there = [part for part in parts if part.exists()]
        return all(os.access(part, os.W_OK, effective_ids=True) for part in there)

    def log(self, name: str) -> Path:
        """Path of a log; its folder is made."""
        path = self.path / _LOGS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def recipe_log(self, recipe: Recipe, name: str) -> Path:
        """Path of a log of one recipe."""
        return self.log(f"{recipe.id}/{name}")

    def has(self, name: str) -> bool:
        """Whether a file is in the folder."""
        return (self.path / name).is_file()

    def read(self, name: str) -> dict[str, Any] | None:
        """A JSON file of the folder; ``None`` where it is absent.

        Raises:
            RunFolderError: It cannot be read, or is damaged; the message names the file, and the
                key where one is wrong.
        """
        try:
            text = read_regular(self.path / name, _MOST_BYTES)
            from_json(SCHEMAS.get(name, dict), text)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RunFolderError(f"{self.path / name}: cannot be read: {error.strerror}") from error
        except ValueError as error:
            # Without its run file a folder is no run: deleting that would not help.
            do = "give the search another folder with --out" if name == RUN_FILE else "delete it"
            raise RunFolderError(
                f"{self.path / name}: damaged, or of another version of Hamerspace ({error}); {do}"
            ) from error
        value: dict[str, Any] = json.loads(text)
        return value

    def write(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a JSON file, whole or not at all; dataclasses in it become objects.

        Raises:
            RunFolderError: It cannot be written.
        """
        write_text(self.path / name, json.dumps(to_jsonable_python(value), indent=1))

    def refuse_strangers(self) -> None:
        """Refuse a folder without a run that holds anything but what a run may find there.

        Raises:
            RunFolderError: There are other files in it.
        """
        strangers = [p.name for p in self.path.iterdir() if not p.name.startswith(".")]
        if set(strangers) - {_LOGS, self.inputs.name}:
            raise RunFolderError(
                f"{self.path} holds files that are no study ({', '.join(strangers[:3])}); "
                "choose another folder with --out"
            )

    def set_aside(self) -> Path:
        """Rename the folder, with all that is in it, and return where it is now.

        Models and data that were given in memory are in the folder anew: the next run may have
        put its own there already.

        Raises:
            RunFolderError: It cannot be renamed, or another search is running in it.
        """
        aside = free_name(self.path, "before")
        with self.held():
            try:
                self.path.rename(aside)
                if (aside / self.inputs.name).is_dir():
                    shutil.copytree(aside / self.inputs.name, self.inputs)
            except OSError as error:
                raise RunFolderError(
                    f"cannot set {self.path} aside as {aside} ({error.strerror}); choose another "
                    "folder with --out"
                ) from error
        return aside

    @contextmanager
    def held(self, worth_keeping: Callable[[], bool] = lambda: True) -> Iterator[None]:
        """Make the folder if need be, and keep other processes out of it.

        Args:
            worth_keeping: Where the block raises and this is false, and the folder held no run
                before, what was put into it is removed again: bad input leaves nothing behind.

        Raises:
            RunFolderError: It cannot be written, or another search is running in it.
        """
        try:
            made = _make_folders(self.path)
            before = {entry.name for entry in self.path.iterdir()}
            stream = self._lock()
        except OSError as error:
            raise RunFolderError(
                f"cannot write to {self.path} ({error.strerror}); choose another folder with --out"
            ) from error
        with stream:
            try:
                yield
            except BaseException:
                if RUN_FILE not in before and not worth_keeping():
                    self._undo(before, made)
                raise

    def remove_unused(self, folders: Sequence[Path]) -> None:
        """Remove folders, the innermost first, in which nothing lies but this run's lock."""
        for folder in folders:
            with contextlib.suppress(OSError):  # something else lies in it
                if [entry.name for entry in folder.iterdir()] == [_LOCK_FILE]:
                    (folder / _LOCK_FILE).unlink(missing_ok=True)
                folder.rmdir()

    def _lock(self) -> TextIO:
        """An open, locked file; the lock goes with it.

        Raises:
            RunFolderError: Another search is running in the folder.
        """
        path = self.path / _LOCK_FILE
        while True:
            stream = path.open("a")
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                stream.close()
                raise RunFolderError(
                    f"another search is running in {self.path}; wait for it, or choose another "
                    "folder with --out"
                ) from error
            # A search that ended between opening and locking may have removed the file: a lock
            # on what nobody else can open would keep nobody out.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                    return stream
            stream.close()
            self.path.mkdir(parents=True, exist_ok=True)

    def _undo(self, before: AbstractSet[str], made: Sequence[Path]) -> None:
        """Remove what a search put there, and the folders made for it; the lock goes last."""
        new = [
            entry
            for entry in self.path.iterdir()
            if entry.name not in before and _OURS.match(entry.name)
        ]
        for entry in sorted(new, key=lambda entry: entry.name == _LOCK_FILE):
            remove(entry)
        for folder in made:
            with contextlib.suppress(OSError):  # someone else uses it by now
                folder.rmdir()


def _make_folders(path: Path) -> list[Path]:
    """Make a folder; return those that were not there before, the innermost first."""
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    return made


def open_run(path: Path) -> RunFolder:
    """The folder of an earlier run.

    Raises:
        RunFolderError: There is no run in it.
    """
    if path.name == RUN_FILE:
        path = path.parent
    if not (path / RUN_FILE).is_file():
        if not path.exists():
            why = "there is no such folder"
        else:
            why = f"there is no {RUN_FILE} in it" if path.is_dir() else "it is a file"
        raise RunFolderError(
            f"{path} holds no run: {why}; name the folder that a search wrote, such as runs/NAME"
        )
    return RunFolder(path)
