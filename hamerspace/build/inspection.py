"""What runs inside the build worker to inspect a study's model and data."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hamerspace.build.store import Store
from hamerspace.config.study import LoadedStudy
from hamerspace.tasks.prepare import inspect_source, prepare_task


def prepare(study: Mapping[str, Any], store: str, key: str) -> str:
    """Inspect the source model and the data of a study; return the folder of the task."""
    loaded = LoadedStudy.model_validate(study)
    folder = Store(Path(store)).make(key, lambda scratch: prepare_task(loaded, scratch))
    return str(folder)


def describe(study: Mapping[str, Any]) -> dict[str, Any]:
    """Inspect the source model of a study and nothing else; return its ``SourceInfo``."""
    loaded = LoadedStudy.model_validate(study)
    with tempfile.TemporaryDirectory() as scratch:
        return inspect_source(loaded, Path(scratch)).to_dict()
