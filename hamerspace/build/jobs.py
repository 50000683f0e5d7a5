"""What runs inside the build worker to make the stages of a recipe.

It runs on the interpreters of tool environments too, so it imports numpy and the light half of
Hamerspace only.
"""

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from hamerspace.backends import BACKENDS
from hamerspace.backends.base import FLOAT_LAYERS, Backend, BuildJob
from hamerspace.backends.candidate import Candidate
from hamerspace.build.holds import Holds
from hamerspace.build.store import Store
from hamerspace.compress import TECHNIQUES, TechniqueJob, TrainingData
from hamerspace.errors import BuildError
from hamerspace.tasks.conversions import convert
from hamerspace.tasks.example import batches
from hamerspace.tasks.model import MANIFEST, ModelArtifact

RANKING_FILE = "sensitivity.json"


class BuildContext:
    """What stages need of a task, read from disk when a stage asks for it.

    Args:
        value: What :func:`~hamerspace.build.builder.context_of` made, as JSON.
    """

    def __init__(self, value: Mapping[str, Any]) -> None:
        self.store = Store(Path(value["store"]))
        self.batch_size = int(value["batch_size"])
        self.seed = int(value["seed"])
        self._value = value

    @cached_property
    def source(self) -> ModelArtifact:
        """The source model."""
        return ModelArtifact.load(Path(self._value["source"]))

    @property
    def calibration(self) -> list[dict[str, Any]]:
        """Batches of the inputs of the calibration split, at the deployment batch size."""
        constants = {spec.name for spec in self.source.inputs if spec.constant}
        arrays = _open(self._value["calibration"])
        return list(batches(arrays, self.batch_size, constants=constants))

    @property
    def training(self) -> TrainingData:
        """The train split."""
        train = self._value["train"]
        arrays, inputs = _open(train["arrays"]), tuple(train["inputs"])
        return TrainingData(**{**train, "arrays": arrays, "inputs": inputs})


def run_stages(
    context: dict[str, Any], model: str, stages: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Run the stages of a recipe that the store lacks.

    Args:
        context: See :class:`BuildContext`.
        model: Folder of the model that the first stage starts from.
        stages: In order: ``kind``, ``name``, ``parameters``, ``key`` and ``label``.

    Returns:
        For each stage its label, its wall seconds and whether it came from the store.
    """
    task, folder = BuildContext(context), Path(model)
    ranking, records = None, []
    teachers: dict[str, ModelArtifact] = {}
    with Holds() as holds:
        for stage in stages:
            started = time.monotonic()
            here = ModelArtifact.load(folder)
            teacher = teachers.setdefault(here.format, here)
            found = task.store.get(stage["key"], holds)
            cached = found is not None
            if found is None:
                print(f"== {stage['label']} {stage['parameters']}", flush=True)  # noqa: T201 - log
                fill = partial(_run, task, here, teacher, stage, ranking)
                found = task.store.make(stage["key"], fill, holds)
            seconds = time.monotonic() - started
            records.append({"label": stage["label"], "seconds": seconds, "cached": cached})
            if stage["kind"] == "sensitivity":
                ranking = found
            else:
                folder = found
    return records


def _run(
    task: BuildContext,
    model: ModelArtifact,
    teacher: ModelArtifact,
    stage: Mapping[str, Any],
    ranking: Path | None,
    scratch: Path,
) -> None:
    """Run one stage in an empty folder and leave only its result there."""
    os.chdir(scratch)
    kind, name, parameters = stage["kind"], stage["name"], stage["parameters"]
    if kind == "technique":
        technique = TECHNIQUES.load(name)
        data = task.training if technique.needs_training_data else None
        technique.apply(TechniqueJob(teacher, model, parameters, data, scratch, task.seed))
    elif kind == "convert":
        convert(model, name, task.calibration[0], scratch).save()
    else:
        job = BuildJob(model, parameters, task.calibration, scratch)
        backend = BACKENDS.load(name).create()
        if kind == "sensitivity":
            _rank(backend, job)
        else:
            _keep_only(backend.build(replace(job, float_layers=_kept(ranking, parameters))))


def _rank(backend: Backend, job: BuildJob) -> None:
    ranked = backend.sensitivity(job)
    for path in job.workdir.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    layers = [{"layer": layer, "error": error} for layer, error in ranked]
    (job.workdir / RANKING_FILE).write_text(json.dumps(layers, indent=1))


def _kept(ranking: Path | None, parameters: Mapping[str, Any]) -> list[str]:
    """The layers that a recipe keeps in higher precision."""
    if ranking is None:
        return []
    layers = [entry["layer"] for entry in json.loads((ranking / RANKING_FILE).read_text())]
    count = int(parameters[FLOAT_LAYERS])
    if count >= len(layers):
        raise BuildError(
            f"{FLOAT_LAYERS} {count} leaves nothing to quantise: layers that could be quantised: "
            f"{len(layers)}; choose fewer, or no quantization"
        )
    return layers[:count]


def _open(files: Mapping[str, str]) -> dict[str, Any]:
    return {name: np.load(path, mmap_mode="r") for name, path in files.items()}


def _keep_only(candidate: Candidate) -> None:
    """Delete all but the candidate's files, which may lie in folders."""
    folder = candidate.folder
    kept = {folder / name for name in (MANIFEST, *candidate.files)}
    parents = {parent for path in kept for parent in path.parents}
    for path in sorted(folder.rglob("*"), reverse=True):
        if path in kept or path in parents:
            continue
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
