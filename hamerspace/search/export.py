"""A candidate as a folder that runs with its runtime alone."""

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import Field

from hamerspace._files import replacing
from hamerspace.backends import BACKENDS
from hamerspace.backends.candidate import Candidate
from hamerspace.errors import RunFolderError
from hamerspace.outcome.measurement import Measurement
from hamerspace.recipe import Recipe
from hamerspace.tasks.model import MANIFEST, TensorSpec

EXPORTED = (MANIFEST, "recipe.json", "measurement.json", "predict.py", "README.md")
"""What may lie beside the files of an exported candidate."""


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
        fixed = fixed_batch(candidate.inputs)
        candidate.save(scratch, {"deployment": asdict(deployment), "fixed_batch": fixed})
        values = {"recipe.json": json.loads(recipe.to_json())}
        if measurement is not None:
            values["measurement.json"] = measurement.to_dict()
        for name, value in values.items():
            (scratch / name).write_text(json.dumps(value, indent=1) + "\n")
        for name in ("predict.py", "README.md"):
            text = _told(name, candidate, fixed, deployment)
            (scratch / name).write_text(text, encoding="utf-8")


def fixed_batch(inputs: Iterable[TensorSpec]) -> int | None:
    """The rows of a batch that a model is fixed at; ``None`` where any number will do."""
    return next((s.shape[0] for s in varying(inputs) if s.shape and s.shape[0]), None)


def varying(inputs: Iterable[TensorSpec]) -> list[TensorSpec]:
    """Those that have rows."""
    return [spec for spec in inputs if not spec.constant]


def _told(name: str, candidate: Candidate, fixed: int | None, deployment: Deployment) -> str:
    """The text of a file that tells how to run a candidate."""
    templates = Environment(
        loader=PackageLoader("hamerspace.search"),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown and Python, not HTML
    )
    templates.filters["python"] = repr
    config = BACKENDS.load(candidate.backend)
    return templates.get_template(f"{name}.jinja").render(
        modules=config.title,
        inputs=[str(spec) for spec in candidate.inputs],
        outputs=[str(spec) for spec in candidate.outputs],
        body=config.create().predict_source(candidate).strip(),
        batch=fixed,
        batch_size=deployment.batch_size,
        varying=[spec.name for spec in varying(candidate.inputs)],
        axes={spec.name: spec.row_axis for spec in candidate.outputs},
    )
