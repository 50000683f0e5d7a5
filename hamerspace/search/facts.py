"""What is saved of a study so that showing it again needs no framework and no model."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hamerspace.backends import BACKENDS
from hamerspace.build.store import content_key
from hamerspace.build.versions import installed_versions
from hamerspace.config.study import LoadedStudy
from hamerspace.errors import RunFolderError
from hamerspace.search.workbench import Workbench
from hamerspace.space import ARM_MACHINES, space_texts
from hamerspace.tasks.fingerprint import study_fingerprint
from hamerspace.tasks.metrics import drop_unit


def identity_of(loaded: LoadedStudy, backends: Sequence[str] | None) -> dict[str, Any]:
    """What must stay the same for the trials of a study to be comparable, by section."""
    config = loaded.config
    return {
        "task (model, data or metric)": study_fingerprint(loaded),
        "space": content_key(text=space_texts(config.space, loaded.root), goal=config.goal),
        "constraints": config.constraints.model_dump(),
        "objectives": [objective.value for objective in config.objectives],
        "target": config.target.model_dump(),
        "backends": None if backends is None else list(backends),
    }


def refuse_other_choices(
    before: Mapping[str, Any] | None, now: Mapping[str, Any], folder: Path
) -> None:
    """Refuse to go on where the same space has come to mean other choices.

    Samplers do not take choices that change, and the number of recipes would be another.

    Raises:
        RunFolderError: A runtime was installed or removed, say, since the study began.
    """
    if before is None or before.get("choices") == now["choices"]:
        return
    names = sorted(
        name
        for name in {*before.get("choices", {}), *now["choices"]}
        if before.get("choices", {}).get(name) != now["choices"].get(name)
    )
    raise RunFolderError(
        f"{folder}: what can be chosen has changed since the study began ({', '.join(names)}): a "
        "runtime was installed or removed, or this is another processor; restore it, or choose "
        "another folder with --out"
    )


def _notes(bench: Workbench) -> list[str]:
    """What the figures do not tell by themselves."""
    machine = bench.target.host().machine
    if bench.space.name != "arm" or machine in ARM_MACHINES:
        return []
    text = (
        f"The space is for ARM processors, but candidates are measured on this {machine} machine: "
        "size and quality hold on both, latency and memory do not."
    )
    return [text]


def facts_of(bench: Workbench) -> dict[str, Any]:
    """What a report tells of the task and the space."""
    task, info, space = bench.task, bench.task.info, bench.space
    return {
        "metric": {
            "name": task.metric.name,
            "direction": task.metric.direction,
            "drop_unit": drop_unit(task.metric, bench.source_values["quality"]),
        },
        "notes": [*task.splits.notes, *_notes(bench)],
        "synthetic": task.splits.synthetic,
        "rows": dict(task.splits.rows),
        "source": {
            "format": info.format,
            "parameters": info.parameter_count,
            "op_families": list(info.op_families),
            "inputs": [str(spec) for spec in info.inputs],
            "outputs": [str(spec) for spec in info.outputs],
        },
        "space": {"name": space.name, "recipes": space.count(), "why": bench.space_reason},
        "masks": [asdict(mask) for mask in space.masks],
        "versions": versions(),
        "choices": {choice.name: str(choice) for choice in space.choices if choice.asked},
    }


def versions() -> dict[str, str]:
    """Of Hamerspace, of what searches, and of what each backend is made of."""
    from hamerspace import __version__

    found = {"hamerspace": __version__, **installed_versions(("optuna", "numpy"))}
    for name in BACKENDS:
        found.update(BACKENDS.load(name).versions())
    return found
