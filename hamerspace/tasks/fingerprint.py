"""Digest everything that a prepared task depends on, without loading any of it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hamerspace.config.study import LoadedStudy
from hamerspace.tasks.user_code import reference_file

_NO_INPUT = frozenset({".log", ".txt", ".md", ".out", ".err", ".yaml", ".yml", ".html", ".ipynb"})
"""Suffixes of files beside user code that people write during a study, not code that reads them."""
_BIG_BYTES = 100_000_000
NOT_OURS = frozenset({"runs", "venv", "env", "__pycache__", "site-packages", "node_modules"})


def study_fingerprint(loaded: LoadedStudy) -> str:
    """Digest of a study's task section and of the files behind it.

    Files that the study names count with their content, external data included. A
    ``module:function`` may import and read anything, so the code and the data beside it count as
    well: see :func:`update_with_code`. Data files of more than 100 MB count with their size and
    time. Hidden files, notes, logs and YAML files, the study file among them, do not; where they
    are read all the same, and in folders below, :mod:`hamerspace.tasks.reads` knows of them.
    """
    digest = hashlib.sha256()
    digest.update(json.dumps(_decides(loaded), sort_keys=True).encode())
    for path in (loaded.source_path, loaded.weights_path, loaded.data_path):
        if path is not None:
            _update_with_named(digest, path)
    files = _user_code(loaded)
    for file in files:
        _update(digest, file, loaded.root)
    if files or loaded.trust_pickle:
        update_with_code(digest, loaded.root)
    if files:
        for path in sorted(loaded.root.iterdir()):
            if is_data(path):
                _update(digest, path, loaded.root)
    return digest.hexdigest()


def part_digests(loaded: LoadedStudy) -> dict[str, str]:
    """Digest of each thing behind a task, to tell which has changed.

    Returns:
        The key of the study file that names a file or folder to its digest, and the path of each
        file beside the study that counts, relative to its folder, to that file's.
    """
    named = {
        "task.source.path": loaded.source_path,
        "task.source.weights": loaded.weights_path,
        "task.data.path": loaded.data_path,
    }
    found = {}
    for key, path in named.items():
        if path is not None:
            digest = hashlib.sha256()
            _update_with_named(digest, path)
            found[key] = digest.hexdigest()
    files = _user_code(loaded)
    beside = set(files)
    if files or loaded.trust_pickle:
        beside.update(_code_files(loaded.root))
    if files:
        beside.update(path for path in loaded.root.iterdir() if is_data(path))
    for path in sorted(beside - set(named.values())):
        digest = hashlib.sha256()
        _update(digest, path, loaded.root)
        found[path.relative_to(loaded.root).as_posix()] = digest.hexdigest()
    return found


def _user_code(loaded: LoadedStudy) -> list[Path]:
    """The files of the functions that a study names."""
    task = loaded.config.task
    load = None if task.data is None else task.data.load
    metric = task.quality.metric
    named = (task.source.builder, load, metric if metric and ":" in metric else None)
    return [file for r in named if r is not None and (file := reference_file(r, loaded.root))]


def _update_with_named(digest: "hashlib._Hash", path: Path) -> None:
    """Add a file that the study names, or every file of a folder."""
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(file.relative_to(path).as_posix().encode() + _content(file))
        return
    digest.update(_content(path))
    for sibling in _external_data(path):
        digest.update(sibling.name.encode() + _content(sibling))


def update_with_code(digest: "hashlib._Hash", root: Path) -> None:
    """Add the Python files in ``root``, and in the packages below it, that user code may import.

    Hidden folders, virtual environments and ``runs`` are left out.
    """
    for path in sorted(_code_files(root)):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(_content(path))


def folder_fingerprint(folder: Path) -> str:
    """Digest of the names and contents of a folder's files."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(_content(path))
    return digest.hexdigest()


def _code_files(folder: Path) -> Iterator[Path]:
    """Python files of a folder and of the folders below that hold some, without a break."""
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_file():
            if path.suffix == ".py":
                yield path
        elif (
            path.is_dir()
            and not path.is_symlink()
            and path.name not in NOT_OURS
            and not (path / "pyvenv.cfg").exists()
            and _holds_code(path)
        ):
            yield from _code_files(path)


def _holds_code(folder: Path) -> bool:
    try:
        return any(path.suffix == ".py" for path in folder.iterdir())
    except OSError:  # nor could user code read it
        return False


def study_identity(loaded: LoadedStudy, parts: Mapping[str, str]) -> str:
    """Digest of a study's task section and of the files behind it that ``parts`` holds.

    Args:
        loaded: The study.
        parts: As :func:`part_digests` gives them. A study that goes on is compared by those that
            were there as it began: a new file beside it changes nothing that it has read.
    """
    digest = hashlib.sha256()
    digest.update(json.dumps([_decides(loaded), parts], sort_keys=True).encode())
    return digest.hexdigest()


def _decides(loaded: LoadedStudy) -> list[Any]:
    task, seed = loaded.config.task.model_dump(mode="json"), loaded.config.search.seed
    return [task, str(loaded.root), loaded.trust_pickle, seed]


def is_data(path: Path) -> bool:
    """Whether a file beside user code may be read by it; code is counted apart."""
    return (
        not path.name.startswith(".")
        and path.suffix.lower() not in _NO_INPUT | {".py"}
        and path.is_file()
    )


def _update(digest: "hashlib._Hash", path: Path, root: Path) -> None:
    digest.update(path.relative_to(root).as_posix().encode())
    digest.update(file_stamp(path) if path.stat().st_size > _BIG_BYTES else _content(path))


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


def file_stamp(path: Path) -> bytes:
    status = path.stat()
    return f"{path.name}:{status.st_size}:{status.st_mtime_ns}".encode()
