"""A candidate as a folder that runs with its runtime alone."""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from hamerspace._files import replacing
from hamerspace.backends import BACKENDS
from hamerspace.backends.candidate import Candidate
from hamerspace.errors import RunFolderError
from hamerspace.outcome.measurement import Measurement
from hamerspace.recipe import Recipe
from hamerspace.tasks.model import MANIFEST

EXPORTED = (MANIFEST, "recipe.json", "measurement.json", "predict.py", "README.md")
"""What may lie beside the files of an exported candidate."""

_DEPLOYMENT = "deployment"
_README = """\
# A compressed model

    python predict.py inputs.npz outputs.npz

`predict.py` needs {modules} and numpy only; `manifest.json` names the inputs and outputs,
`recipe.json` says how the model was made and `measurement.json` what was measured of it.

{batch}
"""
_ANY_BATCH = "It takes any number of rows; it was measured with {batch_size} at a time."
_FIXED_BATCH = (
    "The model is fixed at a batch of {batch}. `predict.py` takes any number of rows and runs it "
    "in batches of {batch}, of which the last is filled up; code of your own must do the same."
)
_BATCHED = '''
BATCH = {batch}  # rows at a time that the model is fixed at
VARYING = {varying!r}  # the inputs that have rows
ROW_AXES = {axes!r}  # for each output its axis of the rows
_load = load


def load(folder, threads=1):
    """As above, for any number of rows, which are run in batches of BATCH."""
    run = _load(folder, threads)

    def once(arrays, start, repeated):
        """The results of one batch, filled up with copies of its last row, or with zeros."""
        batch = dict(arrays)
        for name in VARYING:
            given = np.asarray(arrays[name])[start : start + BATCH]
            zeros = np.zeros((1, *given.shape[1:]), given.dtype)
            row = given[-1:] if len(given) and repeated else zeros
            batch[name] = np.concatenate([given, *[row] * (BATCH - len(given))])
        return {{name: np.array(result) for name, result in run(batch).items()}}

    def has_rows(name, result):
        axis = ROW_AXES[name]
        return axis is not None and result.shape[axis] == BATCH

    def batched(arrays):
        rows = len(arrays[VARYING[0]])
        parts = [once(arrays, start, True) for start in range(0, max(rows, 1), BATCH)]
        if rows < BATCH and not all(has_rows(*output) for output in parts[0].items()):
            # What the filling changes is no result of these rows.
            parts.append(once(arrays, 0, False))
        found = {{}}
        for name in parts[0]:
            results = [part[name] for part in parts]
            if rows == BATCH:
                found[name] = results[0]
            elif has_rows(name, results[0]):
                axis = ROW_AXES[name]
                found[name] = np.concatenate(results, axis).take(np.arange(rows), axis)
            elif all(np.array_equal(results[0], r) for r in results):
                found[name] = results[0]
            else:
                raise ValueError(f"output {{name!r}} has no entry a row: give {{BATCH}} at a time")
        return found

    return batched
'''
_PREDICT = '''"""Run this model; needs {modules} and numpy only.

    python predict.py inputs.npz outputs.npz

From Python: ``run = load(folder)``, then ``run({{name: array}})`` gives ``{{name: array}}``.
``INPUTS`` and ``OUTPUTS`` tell their names, dtypes and shapes; ? is a free dimension.
"""

import sys
from pathlib import Path

import numpy as np

INPUTS = {inputs!r}
OUTPUTS = {outputs!r}

{body}

if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python predict.py inputs.npz outputs.npz")
    with np.load(sys.argv[1]) as archive:
        arrays = {{name: archive[name] for name in archive.files}}
    np.savez(sys.argv[2], **load(Path(__file__).parent)(arrays))
'''


@dataclass(frozen=True)
class Deployment:
    """What a study measures its candidates for.

    Attributes:
        batch_size: Rows of a batch.
        threads: Threads of one inference.
    """

    batch_size: Annotated[int, Field(ge=1)] = 1
    threads: Annotated[int, Field(ge=1)] = 1


def new_folder(output: str | Path) -> Path:
    """The absolute path of a folder that may be written.

    Raises:
        RunFolderError: Something is there already, other than an empty folder; or a folder cannot
            be made there.
    """
    folder = Path(output).resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunFolderError(f"{folder} is there already; name a new folder")
    refuse_unwritable(folder)
    return folder


def refuse_unwritable(path: Path) -> None:
    """Refuse a place in which nothing can be made, before the work for it is done.

    Raises:
        RunFolderError: What is there above it is no folder, or may not be written.
    """
    above = next(parent for parent in path.absolute().parents if parent.exists())
    if not above.is_dir():
        raise RunFolderError(f"cannot write {path}: {above} is no folder; name another place")
    if not os.access(above, os.W_OK | os.X_OK):
        raise RunFolderError(f"cannot write {path}: {above} may not be written; name another place")


def export_candidate(
    candidate: Candidate,
    recipe: Recipe,
    measurement: Measurement | None,
    deployment: Deployment,
    folder: Path,
) -> None:
    """Write model files, ``manifest.json``, ``recipe.json``, ``measurement.json``, ``predict.py``.

    The folder appears whole or not at all, with a ``README.md``. Without a measurement there is no
    ``measurement.json``. The manifest holds the deployment too, and the batch that the model is
    fixed at, if it is.

    Raises:
        RunFolderError: It cannot be written, or there is something in it.
    """
    with replacing(folder) as scratch:
        scratch.mkdir()
        for name in candidate.files:
            destination = scratch / name
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(candidate.folder / name, destination)
        fixed = fixed_batch(candidate)
        candidate.save(scratch, {_DEPLOYMENT: asdict(deployment), "fixed_batch": fixed})
        (scratch / "recipe.json").write_text(
            json.dumps(json.loads(recipe.to_json()), indent=1) + "\n"
        )
        if measurement is not None:
            (scratch / "measurement.json").write_text(
                json.dumps(measurement.to_dict(), indent=1) + "\n"
            )
        (scratch / "predict.py").write_text(_predict(candidate), encoding="utf-8")
        batch = _ANY_BATCH if fixed is None else _FIXED_BATCH
        told = batch.format(batch=fixed, batch_size=deployment.batch_size)
        modules = BACKENDS.load(candidate.backend).title
        (scratch / "README.md").write_text(
            _README.format(modules=modules, batch=told), encoding="utf-8"
        )


def fixed_batch(candidate: Candidate) -> int | None:
    """The rows of a batch that the model is fixed at; ``None`` where any number will do."""
    varying = [spec for spec in candidate.inputs if not spec.constant]
    return next((spec.shape[0] for spec in varying if spec.shape and spec.shape[0]), None)


def _predict(candidate: Candidate) -> str:
    config = BACKENDS.load(candidate.backend)
    body = config.create().predict_source(candidate).strip() + "\n"
    fixed = fixed_batch(candidate)
    if fixed is not None:
        varying = [spec.name for spec in candidate.inputs if not spec.constant]
        axes = {spec.name: spec.row_axis for spec in candidate.outputs}
        body += "\n" + _BATCHED.format(batch=fixed, varying=varying, axes=axes)
    return _PREDICT.format(
        modules=config.title,
        inputs=[str(spec) for spec in candidate.inputs],
        outputs=[str(spec) for spec in candidate.outputs],
        body=body,
    )
