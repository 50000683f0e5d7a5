"""What runs inside the build worker to inspect a study's model and data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hamerspace.build.store import Store
from hamerspace.config.study import LoadedStudy
from hamerspace.tasks.prepare import prepare_task


def prepare(study: Mapping[str, Any], store: str, key: str) -> str:
    """Inspect the source model and the data of a study; return the folder of the task."""
    loaded = LoadedStudy.model_validate(study)
    folder = Store(Path(store)).make(key, lambda scratch: prepare_task(loaded, scratch))
    return str(folder)
