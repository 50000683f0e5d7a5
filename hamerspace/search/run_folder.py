"""The folder that a study's outputs go to, held by one process at a time."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hamerspace._optuna import sqlite_url
from hamerspace.config.study import LoadedStudy
from hamerspace.errors import RunFolderError
from hamerspace.recipe import Recipe

RUN_FILE = "run.json"
_VERSION = 1


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
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def storage_url(self) -> str:
        return sqlite_url(self.path / "study.db")

    def log(self, name: str) -> Path:
        """Path of a log; its folder is made."""
        path = self.path / "artifacts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def recipe_log(self, recipe: Recipe, name: str) -> Path:
        """Path of a log of one recipe."""
        return self.log(f"{recipe.id}/{name}")

    def read(self, name: str) -> dict[str, Any] | None:
        """A JSON file of the folder; ``None`` where it is absent."""
        try:
            value: dict[str, Any] = json.loads((self.path / name).read_text())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise RunFolderError(f"{self.path / name}: damaged ({error}); delete it") from error
        return value

    def write(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a JSON file, whole or not at all."""
        path = self.path / name
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        scratch.write_text(json.dumps(value, indent=1))
        scratch.replace(path)

    def begin(
        self, loaded: LoadedStudy, identity: Mapping[str, Any], storage: str, command: str
    ) -> None:
        """Make the folder the home of a study, or find the same study in it.

        Args:
            loaded: The study.
            identity: What must not change between runs, by section of the study file.
            storage: Optuna storage URL.
            command: How the user started it.

        Raises:
            RunFolderError: The folder is not writable or holds another study.
        """
        found = self.read(RUN_FILE)
        if found is None:
            strangers = [p.name for p in self.path.iterdir() if not p.name.startswith(".")]
            if set(strangers) - {"artifacts"}:
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
        changed = [key for key, value in identity.items() if found["identity"].get(key) != value]
        if changed:
            raise RunFolderError(
                f"{self.path} holds another study: it differs in {', '.join(changed)}; "
                "choose another folder with --out, or delete it to start over"
            )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder if need be, and keep other processes out of it.

        Raises:
            RunFolderError: It cannot be written, or another search is running in it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            stream = (self.path / ".lock").open("w")
        except OSError as error:
            raise RunFolderError(
                f"cannot write to {self.path} ({error.strerror}); choose another folder with --out"
            ) from error
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunFolderError(
                    f"another search is running in {self.path}; wait for it, or choose another "
                    "folder with --out"
                ) from error
            yield


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
