"""What must stay the same for the trials of a study to be comparable, and what is kept of it."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from hamerspace._secrets import without_passwords
from hamerspace.build.store import content_key
from hamerspace.config.loading import parse_space_file
from hamerspace.config.space import DeclaredParameter
from hamerspace.config.study import AUTO_SPACE, LoadedStudy
from hamerspace.errors import ChangedStudyError, RunFolderError
from hamerspace.search.changes import (
    changes_of_choices,
    changes_of_reads,
    changes_of_storage,
    changes_of_study,
    refusal,
)
from hamerspace.search.run_folder import RUN_FILE, RunFolder
from hamerspace.space.catalog import find_space_file, space_texts
from hamerspace.tasks.fingerprint import part_digests, study_identity
from hamerspace.tasks.reads import digests_of

logger = logging.getLogger(__name__)

_VERSION = 1
_LATER_LIMITS = ("max_p90_latency_ms", "max_load_time_ms")
"""Runs that began before there were these do not hold that they are not set."""


def identity_of(
    loaded: LoadedStudy, backends: Sequence[str] | None, parts: Mapping[str, str]
) -> dict[str, Any]:
    """What must stay the same for the trials of a study to be comparable, by section.

    Args:
        loaded: The study.
        backends: The backends that it is restricted to.
        parts: Digests of the files behind the task, of those that were there as it began.
    """
    config = loaded.config
    return {
        "task (model, data or metric)": study_identity(loaded, parts),
        "space": content_key(text=space_texts(config.space, loaded.root), goal=config.goal),
        "constraints": {
            name: limit
            for name, limit in config.constraints.model_dump().items()
            if limit is not None or name not in _LATER_LIMITS
        },
        "objectives": [objective.value for objective in config.objectives],
        "target": config.target.model_dump(),
        "backends": None if backends is None else list(backends),
    }


def details_of(loaded: LoadedStudy, parts: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What is behind the digests of an identity, to tell later what of it has changed.

    Returns:
        ``files``: key or path to digest; ``space``: parameter to the declared values, empty for
        the space that fits the model.
    """
    declared: Mapping[str, DeclaredParameter] = {}
    if loaded.config.space != AUTO_SPACE:
        declared = parse_space_file(find_space_file(loaded.config.space, loaded.root)).parameters
    return {
        "files": dict(parts),
        "space": {name: str(parameter) for name, parameter in declared.items()},
    }


def begin(
    folder: RunFolder,
    loaded: LoadedStudy,
    backends: Sequence[str] | None,
    storage: str | None,
    command: str,
) -> None:
    """Make a folder the home of a study, or find the same study in it.

    Args:
        folder: Held by the caller.
        loaded: The study.
        backends: The backends that it is restricted to.
        storage: Optuna storage URL; ``None`` for the folder's own database.
        command: How the user started it.

    Raises:
        ChangedStudyError: The folder holds another study; the message tells what has changed.
        RunFolderError: The folder holds something else.
    """
    found = folder.read(RUN_FILE)
    if found is None:
        folder.refuse_strangers()
        run = {"storage": storage, "command": without_passwords(command)}
        parts = part_digests(loaded)
        folder.write(
            RUN_FILE, {**_kept(loaded, identity_of(loaded, backends, parts), parts), **run}
        )
        return
    changes = changes_since(found, loaded, backends) + changes_of_storage(
        found.get("storage"), storage
    )
    if changes:
        raise refusal(f"{folder.path} holds another study", changes)
    if found.get("storage") != storage:  # another password
        folder.write(RUN_FILE, {**found, "storage": storage})


def changes_since(
    found: Mapping[str, Any], loaded: LoadedStudy, backends: Sequence[str] | None
) -> list[str]:
    """One line for each thing that must stay the same and has changed since a run began.

    Args:
        found: What its folder keeps of it.
        loaded: The study of today.
        backends: The backends that it is restricted to.
    """
    details, reads = found.get("details", {}), found.get("reads", {})
    parts = part_digests(loaded)
    known = {name: parts.get(name, "") for name in details.get("files", parts)}
    identity = identity_of(loaded, backends, known)
    changes = changes_of_reads(reads, digests_of(reads, loaded.root))
    if found.get("identity") != identity:
        changes += changes_of_study(found, _kept(loaded, identity, parts))
    return list(dict.fromkeys(changes))


def keep_reads(folder: RunFolder, reads: Mapping[str, str]) -> None:
    """Note what the study's code has read, which is known once it has run."""
    run = folder.read(RUN_FILE) or {}
    known = run.get("reads", {})
    if not reads.items() <= known.items():
        folder.write(RUN_FILE, {**run, "reads": {**known, **reads}})


def _kept(
    loaded: LoadedStudy, identity: Mapping[str, Any], parts: Mapping[str, str]
) -> dict[str, Any]:
    """What the run folder keeps of a study."""
    return {
        "version": _VERSION,
        "name": loaded.config.name,
        "identity": identity,
        "details": details_of(loaded, parts),
        "study": loaded.model_dump(mode="json"),
    }


def refuse_other_facts(
    before: Mapping[str, Any] | None, now: Mapping[str, Any], folder: RunFolder
) -> None:
    """Refuse to go on with other choices, on another machine, or with other runtimes.

    Samplers do not take choices that change, and the number of recipes would be another. New
    latencies are ratios to the source model's, which was measured once, as the study began.

    Args:
        before: The facts of the study as it began; ``None`` where it begins now.
        now: The facts of today.
        folder: Of the study.

    Raises:
        ChangedStudyError: With one line for each thing that has changed.
    """
    if before is None:
        return
    if before.get("choices") != now["choices"]:
        raise refusal(
            f"{folder.path}: what can be chosen has changed since the study began: a runtime was "
            "installed or removed, or this is another processor",
            changes_of_choices(before.get("choices", {}), now["choices"]),
        )
    if before.get("content", now["content"]) != now["content"]:
        raise refusal(
            f"{folder.path} holds another study",
            ["the model or the data that its code gives: other contents"],
        )
    old = before.get("conditions")
    if not old or old == now["conditions"]:
        return
    raise refusal(
        f"{folder.path}: figures of today would not compare with those of the study, as they are "
        "taken elsewhere or by other software",
        changes_of_choices(old, now["conditions"]),
    )


def make_room(
    folder: RunFolder, name: str, storage: str | None, changed: ChangedStudyError
) -> None:
    """Set the run in a folder aside, so that a study of today can begin there.

    Args:
        folder: Not held.
        name: Of the study that is to begin.
        storage: Its Optuna storage URL; ``None`` for the folder's own database.
        changed: Why the study cannot go on in the folder.

    Raises:
        RunFolderError: The trials of the run are in the same storage under the same name, where
            others may share them; or the folder cannot be renamed.
    """
    found = folder.read(RUN_FILE) or {}
    if storage is not None and (found.get("name"), found.get("storage")) == (name, storage):
        what, _, _ = str(changed).rpartition("\n")
        raise RunFolderError(
            f"{what}\nit cannot be set aside, as its trials are in the storage "
            f"{without_passwords(storage)}, which others may share; give this study another name, "
            "or another --storage"
        ) from changed
    logger.warning("the earlier run was set aside: %s", folder.set_aside())
