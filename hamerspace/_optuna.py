"""Every use of an Optuna internal, and the storage settings that were measured to matter.

``tests/test_optuna.py`` fails where upstream moves.
"""

import copy
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy import event


def open_storage(url: str) -> RDBStorage:
    """Open a storage; SQLite with a write-ahead log and a patient lock.

    SQLite's defaults give two trials a second and errors with a second worker; with the log it is
    an order of magnitude more. Each trial is on the disk before it counts as written.
    """
    sqlite = url.startswith("sqlite")
    storage = RDBStorage(url, {"connect_args": {"timeout": 100}} if sqlite else None)
    if sqlite:

        def tune(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")

        event.listen(storage.engine, "connect", tune)
        storage.engine.dispose()
    return storage


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
