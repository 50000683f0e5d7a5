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
from functools import partial
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


def run_stages(
    context: dict[str, Any], model: str, stages: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Run the stages of a recipe that the store lacks.

    Args:
        context: What :func:`~hamerspace.build.builder.context_of` made.
        model: Folder of the model that the first stage starts from.
        stages: In order: ``kind``, ``name``, ``parameters``, ``key`` and ``label``.

    Returns:
        For each stage its label, its wall seconds and whether it came from the store.
    """
    store, folder = Store(Path(context["store"])), Path(model)
    ranking, records = None, []
    teachers: dict[str, ModelArtifact] = {}
    with Holds() as holds:
        for stage in stages:
            started = time.monotonic()
            here = ModelArtifact.load(folder)
            teacher = teachers.setdefault(here.format, here)
            found = store.get(stage["key"], holds)
            cached = found is not None
            if found is None:
                print(f"== {stage['label']} {stage['parameters']}", flush=True)  # noqa: T201 - log
                fill = partial(_run, context, here, teacher, stage, ranking)
                found = store.make(stage["key"], fill, holds)
            seconds = time.monotonic() - started
            records.append({"label": stage["label"], "seconds": seconds, "cached": cached})
            if stage["kind"] == "sensitivity":
                ranking = found
            else:
                folder = found
    return records


def _run(
    context: Mapping[str, Any],
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
        data = _training(context["train"]) if technique.needs_training_data else None
        technique.apply(TechniqueJob(teacher, model, parameters, data, scratch, context["seed"]))
    elif kind == "convert":
        convert(model, name, _calibration(context)[0], scratch).save()
    else:
        job = BuildJob(model, parameters, _calibration(context), scratch)
        backend = BACKENDS.load(name).create()
        if kind == "sensitivity":
            _rank(backend, job)
        else:
            _keep_only(backend.build(replace(job, float_layers=_kept(ranking, parameters))))


def _calibration(context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Batches of the inputs of the calibration split, at the deployment batch size."""
    arrays, constants = _open(context["calibration"]), set(context["constants"])
    return list(batches(arrays, context["batch_size"], constants=constants))


def _training(train: Mapping[str, Any]) -> TrainingData:
    """The train split."""
    arrays, inputs = _open(train["arrays"]), tuple(train["inputs"])
    return TrainingData(**{**train, "arrays": arrays, "inputs": inputs})


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
