"""What runs inside the build worker."""

import os
import shutil
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hamerspace.backends import BACKENDS
from hamerspace.backends.base import Candidate, batches
from hamerspace.build.store import Store
from hamerspace.compress import TECHNIQUES, TrainingData
from hamerspace.config.study import LoadedStudy
from hamerspace.tasks.convert import convert
from hamerspace.tasks.model import MANIFEST, ModelArtifact
from hamerspace.tasks.prepare import prepare_task
from hamerspace.tasks.task import Task


def prepare(study: Mapping[str, Any], store: str, key: str) -> str:
    """Inspect the source model and the data of a study; return the folder of the task."""
    loaded = LoadedStudy.model_validate(study)
    folder = Store(Path(store)).make(key, lambda scratch: prepare_task(loaded, scratch))
    return str(folder)


def run_stages(
    task: str, store: str, stages: list[dict[str, Any]], seed: int
) -> list[dict[str, Any]]:
    """Run the stages of a recipe that the store lacks.

    Returns:
        For each stage its label, its wall seconds and whether it came from the store.
    """
    prepared = Task.load(Path(task))
    shelf = Store(Path(store))
    folder, records = prepared.source.folder, []
    for stage in stages:
        started = time.monotonic()
        found = shelf.get(stage["key"])
        if found is None:
            print(f"== {stage['label']} {stage['parameters']}", flush=True)  # noqa: T201 - the log
            model = ModelArtifact.load(folder)
            fill = partial(_run, prepared, model, stage, seed=seed)
            found = shelf.make(stage["key"], fill)
            cached = False
        else:
            cached = True
        records.append(
            {"label": stage["label"], "seconds": time.monotonic() - started, "cached": cached}
        )
        folder = found
    return records


def _run(
    task: Task, model: ModelArtifact, stage: Mapping[str, Any], scratch: Path, seed: int
) -> None:
    """Run one stage in an empty folder and leave only its result there."""
    os.chdir(scratch)
    if stage["kind"] == "technique":
        technique = TECHNIQUES.load(stage["name"])
        data = _training_data(task) if technique.needs_training_data else None
        technique.apply(task.source, model, stage["parameters"], data, scratch, seed).save()
    elif stage["kind"] == "convert":
        example = {n: a[: task.batch_size] for n, a in _calibration(task).items()}
        convert(model, stage["name"], example, scratch).save()
    else:
        backend = BACKENDS.load(stage["name"]).create()
        calibration = list(batches(_calibration(task), task.batch_size))
        candidate = backend.build(model, stage["parameters"], calibration, scratch)
        candidate.save()
        _keep_only(scratch, candidate)


def _calibration(task: Task) -> dict[str, Any]:
    return task.splits.inputs_of("calibration")


def _training_data(task: Task) -> TrainingData:
    assert task.loss is not None
    arrays: dict[str, Any] = dict(task.splits.inputs_of("train"))
    labels = task.splits.labels_of("train")
    if labels is not None:
        arrays["labels"] = labels
    return TrainingData(arrays, task.splits.inputs, task.loss, task.output)


def _keep_only(folder: Path, candidate: Candidate) -> None:
    kept = {MANIFEST, *candidate.files}
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in kept:
            path.unlink()
