"""Read the folder of an exported candidate, which may come from anyone."""

from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BaseModel

from hamerspace._files import read_regular
from hamerspace._schema import from_json
from hamerspace.backends import BACKENDS
from hamerspace.backends.candidate import Candidate
from hamerspace.errors import SourceError, did_you_mean
from hamerspace.recipe import Scalar
from hamerspace.search.export import Deployment
from hamerspace.tasks.model import MANIFEST, TensorSpec

_MOST_BYTES = 10_000_000


def _within(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or not path.parts:
        raise ValueError("is no name of a file in this folder")
    return name


def _numeric(spec: TensorSpec) -> TensorSpec:
    try:
        known = np.dtype(spec.dtype).kind in "biuf"
    except TypeError:
        known = False
    if not known:
        raise ValueError(f"has the dtype '{spec.dtype}', which numpy does not know as numbers")
    if any(size is not None and size < 0 for size in spec.shape):
        raise ValueError("has a negative dimension")
    return spec


_Spec = Annotated[TensorSpec, AfterValidator(_numeric)]


class _Manifest(BaseModel):
    backend: str
    files: tuple[Annotated[str, AfterValidator(_within)], ...]
    inputs: tuple[_Spec, ...]
    outputs: tuple[TensorSpec, ...]
    runtime: dict[str, Scalar]
    metadata: dict[str, Any]
    deployment: Deployment = Deployment()


def read_exported(folder: Path) -> tuple[Candidate, Deployment]:
    """A candidate that was exported, and what it was measured for; 1 and 1 where it is too old.

    Raises:
        SourceError: The manifest is damaged, names a file outside the folder or a backend that is
            not there; or a file is missing.
    """
    where = folder / MANIFEST
    try:
        found = from_json(_Manifest, read_regular(where, _MOST_BYTES))
    except ValueError as error:
        raise SourceError(f"{where}: is not a candidate's manifest: {error}") from error
    if found.backend not in BACKENDS:
        hint = did_you_mean(found.backend, BACKENDS)
        raise SourceError(f"{where}: 'backend' is the unknown '{found.backend}'{hint}")
    missing = [name for name in found.files if not (folder / name).is_file()]
    if missing:
        raise SourceError(f"{folder}: a file of the candidate is missing: {folder / missing[0]}")
    candidate = Candidate.from_dict({**found.model_dump(), "folder": folder.resolve()})
    return candidate, found.deployment
