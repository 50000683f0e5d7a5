"""Digest everything that a prepared task depends on, without loading any of it."""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from hamerspace.config.study import LoadedStudy
from hamerspace.tasks.user_code import reference_file

_NO_INPUT = frozenset({".log", ".txt", ".md", ".out", ".err", ".yaml", ".yml", ".html", ".ipynb"})
"""Suffixes of files beside user code that people write during a study, not code that reads them."""
BIG_BYTES = 100_000_000
"""Data of more than this count with their size and time."""
NOT_OURS = frozenset({"runs", "venv", "env", "__pycache__", "site-packages", "node_modules"})
_SETTLED_NS = 2 * 10**9
"""A file that was changed less than this ago may change again without another time."""
_known: dict[tuple[Path, int, int, int], bytes] = {}


def study_fingerprint(loaded: LoadedStudy) -> str:
    """Digest of a study's task section and of the files behind it.

    Files that the study names count with their content, external data included. A
    ``module:function`` may import and read anything, so the code and the data beside it count as
    well: see :func:`update_with_code`. Data files of more than 100 MB count with their size and
    time. Hidden files, notes, logs and YAML files, the study file among them, do not; where they
    are read all the same, and in folders below, :mod:`hamerspace.tasks.reads` knows of them.
    """
    return study_identity(loaded, part_digests(loaded))


def named_paths(loaded: LoadedStudy) -> dict[str, Path]:
    """The files and folders that a study names, by key."""
    named = {
        "task.source.path": loaded.source_path,
        "task.source.weights": loaded.weights_path,
        "task.data.path": loaded.data_path,
    }
    return {key: path for key, path in named.items() if path is not None}


def part_digests(loaded: LoadedStudy) -> dict[str, str]:
    """Digest of each thing behind a task, to tell which has changed.

    Returns:
        The key of the study file that names a file or folder to its digest, and the path of each
        file beside the study that counts, relative to its folder, to that file's.
    """
    named, root = named_paths(loaded), loaded.root
    found = {}
    for key, path in named.items():
        digest = hashlib.sha256() if path.is_dir() else hashlib.sha256(_content(path))
        _update(digest, _files_of(path) if path.is_dir() else _external_data(path), path)
        found[key] = digest.hexdigest()
    files = _user_code(loaded)
    beside = set(files)
    if files or loaded.trust_pickle:
        beside.update(_code_files(root))
    if files:
        beside.update(path for path in root.iterdir() if is_data(path))
    for path in sorted(beside - set(named.values())):
        name = path.relative_to(root).as_posix()
        found[name] = hashlib.sha256(name.encode() + content_or_stamp(path)).hexdigest()
    return found


def _user_code(loaded: LoadedStudy) -> list[Path]:
    """The files of the functions that a study names."""
    return [file for r in loaded.references if (file := reference_file(r, loaded.root))]


def update_with_code(digest: "hashlib._Hash", root: Path) -> None:
    """Add the Python files in ``root``, and in the packages below it, that user code may import.

    Hidden folders, virtual environments and ``runs`` are left out.
    """
    _update(digest, _code_files(root), root)


def folder_fingerprint(folder: Path) -> str:
    """Digest of the names and contents of a folder's files."""
    digest = hashlib.sha256()
    _update(digest, _files_of(folder), folder)
    return digest.hexdigest()


def _files_of(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _update(digest: "hashlib._Hash", files: Iterable[Path], origin: Path) -> None:
    """Add the names of files, as seen from a folder or a file beside them, and their contents."""
    folder = origin if origin.is_dir() else origin.parent
    for file in sorted(files):
        digest.update(file.relative_to(folder).as_posix().encode() + _content(file))


def _code_files(root: Path) -> Iterator[Path]:
    """Python files of a folder and of the folders below that hold some, without a break."""
    for place, folders, files in os.walk(root):
        here = Path(place)
        folders[:] = [
            name
            for name in folders
            if not (name.startswith(".") or name in NOT_OURS)
            and not (here / name / "pyvenv.cfg").exists()
            and _holds_code(here / name)
        ]
        found = (here / name for name in files if name.endswith(".py") and name[0] != ".")
        yield from filter(Path.is_file, found)


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
    task, seed = loaded.config.task.model_dump(mode="json"), loaded.config.search.seed
    decides = [[task, str(loaded.root), loaded.trust_pickle, seed], parts]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def is_data(path: Path) -> bool:
    """Whether a file beside user code may be read by it; code is counted apart."""
    return (
        not path.name.startswith(".")
        and path.suffix.lower() not in _NO_INPUT | {".py"}
        and path.is_file()
    )


def _external_data(model: Path) -> Iterator[Path]:
    """Files beside an ONNX model that may hold its weights."""
    if model.suffix == ".onnx" and model.parent.is_dir():
        for path in model.parent.iterdir():
            if path.is_file() and (path.suffix in {".data", ".bin"} or "onnx_data" in path.name):
                yield path


def content_or_stamp(path: Path) -> bytes:
    """Digest of a file's content; of a large one its name, size and time."""
    return file_stamp(path) if path.stat().st_size > BIG_BYTES else _content(path)


def _content(path: Path) -> bytes:
    """Digest of a file's content, which is read once as long as it stays as it is."""
    try:
        status = path.stat()
        key = (path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        found = _known.get(key)
        if found is None:
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").digest()
            if time.time_ns() - status.st_ctime_ns > _SETTLED_NS:
                _known[key] = found
    except OSError:  # reported, with its key, when the task is prepared
        return b"absent"
    return found


def file_stamp(path: Path) -> bytes:
    """Name, size and time of a file."""
    status = path.stat()
    return f"{path.name}:{status.st_size}:{status.st_mtime_ns}".encode()
