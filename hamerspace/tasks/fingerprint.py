"""Digest everything that a prepared task depends on, without loading any of it."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from hamerspace.config.study import LoadedStudy
from hamerspace.tasks.user_code import reference_file


def study_fingerprint(loaded: LoadedStudy) -> str:
    """Digest of a study's task section and of the files behind it.

    Files that the study names count with their content. A ``module:function`` may read anything,
    so the names, sizes and times of the files beside it count as well.
    """
    digest = hashlib.sha256()
    task = loaded.config.task
    decides = [task.model_dump(mode="json"), str(loaded.root), loaded.trust_pickle]
    decides.append(loaded.config.search.seed)
    digest.update(json.dumps(decides, sort_keys=True).encode())
    for path in (loaded.source_path, loaded.weights_path, loaded.data_path):
        if path is not None:
            digest.update(_content(path))
            for sibling in _external_data(path):
                digest.update(_stamp(sibling))
    load = None if task.data is None else task.data.load
    for reference in (task.source.builder, load):
        if reference is not None:
            file = reference_file(reference, loaded.root)
            if file is not None:
                digest.update(_content(file))
                for path in sorted(loaded.root.iterdir()):
                    if path.is_file():
                        digest.update(_stamp(path))
    return digest.hexdigest()


def folder_fingerprint(folder: Path) -> str:
    """Digest of the names and contents of a folder's files."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(_content(path))
    return digest.hexdigest()


def _external_data(model: Path) -> Iterator[Path]:
    """Files beside an ONNX model that may hold its weights."""
    if model.suffix == ".onnx" and model.parent.is_dir():
        for path in sorted(model.parent.iterdir()):
            if path.is_file() and (path.suffix in {".data", ".bin"} or "onnx_data" in path.name):
                yield path


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError:  # reported, with its key, when the task is prepared
        return b"absent"


def _stamp(path: Path) -> bytes:
    status = path.stat()
    return f"{path.name}:{status.st_size}:{status.st_mtime_ns}".encode()
