"""What is saved of a study so that showing it again needs no framework and no model."""

from typing import Any

from hamerspace._version import __version__
from hamerspace.backends import BACKENDS
from hamerspace.environments import installed_versions
from hamerspace.search.caution import judging_notes, judging_warnings, smallest_drop
from hamerspace.search.prepared import Prepared
from hamerspace.search.workbench import Workbench
from hamerspace.space.catalog import ARM_MACHINES
from hamerspace.space.describe import stored_precisions
from hamerspace.tasks.metrics import drop_unit

_DEVICE = ("processor", "instructions", "gpu", "cuda")


def _notes(prepared: Prepared) -> list[str]:
    """What the figures do not tell by themselves."""
    machine = prepared.host.machine
    if prepared.space.name != "arm" or machine in ARM_MACHINES:
        return []
    text = (
        f"The space is for ARM processors, but candidates are measured on this {machine} machine: "
        "size and quality hold on both, latency and memory do not."
    )
    return [text]


def facts_of(bench: Workbench) -> dict[str, Any]:
    """What a report tells of the task and the space."""
    prepared = bench.prepared
    task, info, space = prepared.task, prepared.task.info, prepared.space
    smallest = smallest_drop(bench)
    return {
        "metric": {
            "name": bench.metric.name,
            "direction": bench.metric.direction,
            "drop_unit": drop_unit(bench.metric, bench.source_values["quality"]),
        },
        "notes": [*task.splits.notes, *_notes(prepared), *judging_notes(bench, smallest)],
        "warnings": [*task.splits.warnings, *judging_warnings(bench, smallest)],
        "smallest_drop": smallest,
        "synthetic": task.splits.synthetic,
        "rows": dict(task.splits.rows),
        "source": {
            "format": info.format,
            "parameters": info.parameter_count,
            "op_families": info.op_families,
            "inputs": [str(spec) for spec in info.inputs],
            "outputs": [str(spec) for spec in info.outputs],
        },
        "precisions": stored_precisions(info),
        "space": {"name": space.name, "recipes": space.count(), "why": prepared.space_reason},
        "masks": space.masks,
        "versions": versions(),
        "conditions": _conditions(prepared),
        "content": task.content,
        "choices": {choice.name: str(choice) for choice in space.choices if choice.asked},
    }


def _conditions(prepared: Prepared) -> dict[str, str]:
    """What figures that are compared must have in common: the processors, what runs the models."""
    device = prepared.target.environment()
    found = {name: device[name] for name in _DEVICE if name in device}
    found["hamerspace"] = versions()["hamerspace"]
    for name in sorted({*prepared.space.backends, prepared.source.backend}):
        found.update(prepared.target.runtime(name) or {})
    return found


def versions() -> dict[str, str]:
    """Of Hamerspace, of what searches, and of what each backend is made of."""
    found = {"hamerspace": __version__, **installed_versions(("optuna", "numpy"))}
    for config in BACKENDS.values():
        found.update(config.versions())
    return found
