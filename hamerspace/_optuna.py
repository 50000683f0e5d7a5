"""Every use of an Optuna internal, and the storage settings that were measured to matter.

``tests/test_optuna.py`` fails where upstream moves.
"""

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy import event, make_url
from sqlalchemy.exc import ArgumentError


def open_storage(url: str) -> RDBStorage:
    """Open a storage; SQLite with a write-ahead log and a patient lock.

    SQLite's defaults give two trials a second and errors with a second worker; with the log it is
    an order of magnitude more. Each trial is on the disk before it counts as written.

    A file that this process may not write is opened for reading, without a trace.
    """
    path = _read_only_file(url)
    if path is not None:
        return RDBStorage(_reading_url(path), skip_table_creation=True)
    sqlite = url.startswith("sqlite")
    storage = RDBStorage(url, {"connect_args": {"timeout": 100}} if sqlite else None)
    if sqlite:

        def tune(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")

        event.listen(storage.engine, "connect", tune)
        storage.engine.dispose()
    return storage


_DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}
"""Kind of database to a driver that pip installs without a compiler."""


def what_it_lacks(url: str) -> str:
    """What must be installed or mended before a storage can be opened at all; else empty."""
    try:
        parsed = make_url(url)
        dialect = parsed.get_dialect()
    except (ArgumentError, ValueError) as error:
        return (
            f"it is no address of a database ({error}); give one such as sqlite:///trials.db or "
            "postgresql+psycopg://USER@HOST/NAME"
        )
    try:
        dialect.import_dbapi()
    except ImportError as error:
        kind = parsed.get_backend_name()
        driver = _DRIVERS.get(kind)
        hint = f"; pip install {driver}, and write {kind}+{driver}://" if driver else ""
        return f"its driver is not installed ({error}){hint}"
    return ""


def open_study(
    url: str | None, name: str, directions: Sequence[Literal["minimize", "maximize"]]
) -> optuna.Study:
    """The study of a storage, which is made where there is none and the storage may be written.

    Args:
        url: Of the storage; ``None`` keeps the study in memory.
        name: Of the study.
        directions: ``minimize`` or ``maximize`` for each objective.
    """
    if url is not None and is_read_only(url):
        return optuna.load_study(study_name=name, storage=open_storage(url))
    return optuna.create_study(
        storage=None if url is None else open_storage(url),
        study_name=name,
        directions=list(directions),
        load_if_exists=True,
    )


def is_read_only(url: str) -> bool:
    """Whether a storage is a SQLite file that is there and that this process may not write.

    SQLite writes beside the file too.
    """
    return _read_only_file(url) is not None


def _read_only_file(url: str) -> Path | None:
    named = make_url(url).database if url.startswith("sqlite:///") else None
    if not named or named.startswith((":", "file:")) or not Path(named).exists():
        return None
    parts = (Path(named), Path(named).parent)
    writable = all(os.access(part, os.W_OK, effective_ids=True) for part in parts)
    return None if writable else Path(named)


def _reading_url(path: Path) -> str:
    # The log needs files beside the database. Where nobody is writing there are none, and they
    # cannot be made: the file is then read as one that does not change.
    logged = path.with_name(f"{path.name}-wal").exists()
    how = "mode=ro" if logged else "mode=ro&immutable=1"
    return f"sqlite:///file:{quote(str(path.resolve()))}?{how}&uri=true"


def sqlite_url(path: Path) -> str:
    """Storage URL of a SQLite file."""
    return f"sqlite:///{path.resolve()}"


def add_trial(study: optuna.Study, trial: FrozenTrial) -> int:
    """Add a finished trial in one transaction, as ``study.add_trial``; return its number."""
    storage = study._storage  # noqa: SLF001 - the public method does not tell the number
    trial_id = storage.create_new_trial(study._study_id, template_trial=trial)  # noqa: SLF001
    return storage.get_trial_number_from_id(trial_id)


def note_taker(study: optuna.Study, trial_id: int) -> optuna.Trial:
    """A finished trial as ``optuna_dashboard.save_note`` takes it.

    Optuna makes a ``Trial`` for an objective function and promises nothing of other uses.
    """
    return optuna.Trial(study, trial_id)


def sampler_attributes(study: optuna.Study, number: int) -> dict[str, Any]:
    """What the study's sampler has noted on a trial for itself, such as its generation."""
    trial = study.get_trials(deepcopy=False)[number]
    prefix = f"{type(study.sampler).__name__}:"
    return {key: value for key, value in trial.system_attrs.items() if key.startswith(prefix)}


def with_sorted_attributes(trial: FrozenTrial) -> FrozenTrial:
    """A copy with its system attributes, the constraints among them, sorted by name.

    Samplers match the constraints of trials by position, and a storage returns them in an order of
    its own.
    """
    found = copy.copy(trial)
    found._system_attrs = dict(sorted(trial.system_attrs.items()))  # noqa: SLF001 - no public way
    return found
