"""Which files a user's code reads, beside those that the study names.

Python reports every file that is opened and every folder that is listed (PEP 578). What C libraries
open themselves it does not; the folder that it was found in often is.
"""

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hamerspace.tasks.fingerprint import NOT_OURS, file_stamp, is_data

_IMPORTING = ("importlib", "pkgutil")

_noted: set[Path] | None = None
_hooked = False


@contextmanager
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

    Hidden ones are left out, and compiled code, virtual environments and ``runs``.
    """
    inside = (p for p in paths if p.is_relative_to(root) and p != root / "runs")
    names = {p.relative_to(root).as_posix() for p in inside}
    return digests_of({n for n in names if not _left_out(n)}, root)


def digests_of(names: set[str] | Mapping[str, str], root: Path) -> dict[str, str]:
    """The same of paths from ``root``; what is gone has an empty one."""
    return {name: _digest(root / name) for name in sorted(names)}


def _left_out(name: str) -> bool:
    parts = name.split("/")
    return any((p.startswith(".") and p != ".") or p in NOT_OURS for p in parts)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        if path.is_dir():
            # Of what lies in it C libraries may read anything.
            for entry in sorted(path.iterdir()):
                if is_data(entry):
                    digest.update(file_stamp(entry))
                elif entry.is_dir() and not _left_out(entry.name):
                    digest.update(entry.name.encode())
        elif path.is_file():
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256")
        else:
            return ""
    except OSError:
        return ""
    return digest.hexdigest()


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _noted is None or event not in ("open", "os.listdir", "os.scandir") or not arguments:
        return
    path, caller = arguments[0], sys._getframe(1).f_code.co_filename  # noqa: SLF001
    if event == "open":
        if len(arguments) > 2 and arguments[2] & os.O_ACCMODE == os.O_WRONLY:
            return
    elif any(name in caller for name in _IMPORTING):
        return  # the folder is on the path of modules, where plug-ins are looked for too
    if isinstance(path, str | bytes | os.PathLike):
        _noted.add(Path(os.path.abspath(os.fsdecode(path))))  # noqa: PTH100 - links stay as they are
