"""Which files a user's code reads, beside those that the study names.

Python reports every file that is opened and every folder that is listed (PEP 578). What C libraries
open themselves it does not; the folder that it was found in often is.
"""

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hamerspace.tasks.fingerprint import (
    BIG_BYTES,
    NOT_OURS,
    content_or_stamp,
    file_stamp,
    is_data,
)

_IMPORTING = ("importlib", "pkgutil")

_noted: set[Path] | None = None
_hooked = False


@contextlib.contextmanager
def noted_reads() -> Iterator[set[Path]]:
    """Collect the files that are opened for reading in a block, and the folders listed."""
    global _noted, _hooked  # noqa: PLW0603 - an audit hook lasts as long as the process
    if not _hooked:
        sys.addaudithook(_note)
        _hooked = True
    reads: set[Path] = set()
    _noted = reads
    try:
        yield reads
    finally:
        _noted = None


def digests(paths: Iterator[Path] | set[Path], root: Path) -> dict[str, str]:
    """Digest of each file or folder below ``root``, by its path from there.

    Hidden ones are left out, and compiled code, virtual environments and ``runs``; so is ``root``
    itself, as what lies in it counts apart, and what is written there later was not read.
    """
    inside = (p for p in paths if p.is_relative_to(root) and p != root / "runs")
    names = {p.relative_to(root).as_posix() for p in inside}
    return digests_of({n for n in names if not _left_out(n)}, root)


def digests_of(names: set[str] | Mapping[str, str], root: Path) -> dict[str, str]:
    """The same of paths from ``root``; what is gone has an empty one."""
    return {name: _digest(root / name) for name in sorted(names)}


def _left_out(name: str) -> bool:
    parts = name.split("/")
    return any(p.startswith(".") or p in NOT_OURS for p in parts)


def _digest(path: Path) -> str:
    try:
        if path.is_dir():
            return _folder_digest(path)
        return hashlib.sha256(content_or_stamp(path)).hexdigest() if path.is_file() else ""
    except OSError:
        return ""


def _folder_digest(folder: Path) -> str:
    """Of names and contents: of what lies in it C libraries may read anything."""
    digest, entries = hashlib.sha256(), sorted(folder.iterdir())
    data = {entry for entry in entries if is_data(entry)}
    large = sum(entry.stat().st_size for entry in data) > BIG_BYTES
    for entry in entries:
        if entry in data:
            content = file_stamp(entry) if large else content_or_stamp(entry)
            digest.update(entry.name.encode() + content)
        elif entry.is_dir() and not _left_out(entry.name):
            digest.update(entry.name.encode())
    return digest.hexdigest()


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    noted = _noted  # another thread may end the noting meanwhile
    if noted is None or event not in ("open", "os.listdir", "os.scandir") or not arguments:
        return
    path, caller = arguments[0], sys._getframe(1).f_code.co_filename  # noqa: SLF001
    if event == "open":
        if len(arguments) > 2 and arguments[2] & os.O_ACCMODE == os.O_WRONLY:
            return
    elif any(name in caller for name in _IMPORTING):
        return  # the folder is on the path of modules, where plug-ins are looked for too
    if isinstance(path, str | bytes | os.PathLike):
        with contextlib.suppress(Exception):  # what is raised here would fail the user's call
            noted.add(Path(os.path.abspath(os.fsdecode(path))))  # noqa: PTH100 - links stay
