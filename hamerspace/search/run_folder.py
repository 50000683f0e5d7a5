"""The folder that a study's outputs go to, held by one process at a time."""

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from hamerspace._files import remove, write_text
from hamerspace._optuna import sqlite_url
from hamerspace.config.study import LoadedStudy
from hamerspace.errors import RunFolderError
from hamerspace.recipe import Recipe

RUN_FILE = "run.json"
STUDY_DB = "study.db"
_VERSION = 1
_LOCK_FILE = ".lock"


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

    def log(self, name: str) -> Path:
        """Path of a log; its folder is made."""
        path = self.path / "artifacts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def recipe_log(self, recipe: Recipe, name: str) -> Path:
        """Path of a log of one recipe."""
        return self.log(f"{recipe.id}/{name}")

    def has(self, name: str) -> bool:
        """Whether a file is in the folder."""
        return (self.path / name).is_file()

    def read(self, name: str) -> dict[str, Any] | None:
        """A JSON file of the folder; ``None`` where it is absent."""
        try:
            value: dict[str, Any] = json.loads((self.path / name).read_text())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise RunFolderError(f"{self.path / name}: damaged ({error}); delete it") from error
        if not isinstance(value, dict):
            raise RunFolderError(f"{self.path / name}: damaged (no JSON object); delete it")
        return value

    def write(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a JSON file, whole or not at all.

        Raises:
            RunFolderError: It cannot be written.
        """
        write_text(self.path / name, json.dumps(value, indent=1))

    def begin(
        self, loaded: LoadedStudy, identity: Mapping[str, Any], storage: str | None, command: str
    ) -> None:
        """Make the folder the home of a study, or find the same study in it.

        Args:
            loaded: The study.
            identity: What must not change between runs, by section of the study file.
            storage: Optuna storage URL; ``None`` for the folder's own database.
            command: How the user started it.

        Raises:
            RunFolderError: The folder is not writable or holds another study.
        """
        found = self.read(RUN_FILE)
        if found is None:
            strangers = [p.name for p in self.path.iterdir() if not p.name.startswith(".")]
            if set(strangers) - {"artifacts", self.inputs.name}:
                raise RunFolderError(
                    f"{self.path} holds files that are no study ({', '.join(strangers[:3])}); "
                    "choose another folder with --out"
                )
            found = {
                "version": _VERSION,
                "name": loaded.config.name,
                "identity": dict(identity),
                "study": loaded.model_dump(mode="json"),
                "storage": storage,
                "command": command,
            }
            self.write(RUN_FILE, found)
        known = found.get("identity", {})
        changed = [key for key, value in identity.items() if known.get(key) != value]
        if changed:
            raise RunFolderError(
                f"{self.path} holds another study: it differs in {', '.join(changed)}; "
                "choose another folder with --out, or delete it to start over"
            )

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
            stream = path.open("w")
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
        """Remove what is new in the folder, and the folders made for it; the lock goes last."""
        new = [entry for entry in self.path.iterdir() if entry.name not in before]
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
        raise RunFolderError(f"{path} holds no run: there is no {RUN_FILE} in it")
    return RunFolder(path)
