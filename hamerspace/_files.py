"""Files and folders that appear whole or not at all, whatever ends the process or the machine."""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hamerspace.errors import RunFolderError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a draft, which takes the place of ``path`` when the block has ended.

    The block writes a file there or makes a folder; the draft's name ends as that of ``path``.
    Missing parents are made. If the block raises, the draft is removed, and what stood at ``path``
    stands there still. A link goes on pointing to its file, which is what is replaced; what is
    neither file nor folder, such as ``/dev/stdout``, is written to directly. A folder takes the
    place of nothing but an empty folder.

    Raises:
        RunFolderError: It cannot be written.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        yield path
        return
    target = path.resolve()
    draft = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove(draft)  # of a process that was killed, whose number this one has
        yield draft
        flush(draft)
        draft.replace(target)
    except OSError as error:
        of_draft = error.filename is None or str(error.filename).startswith(str(draft))
        why = error.strerror if of_draft else f"{error.filename}: {error.strerror}"
        raise RunFolderError(
            f"cannot write {path}: {why}; free the path or choose another"
        ) from error
    finally:
        remove(draft)


def free_name(path: Path, word: str) -> Path:
    """The first of ``path.word-1``, ``path.word-2`` and so on at which nothing stands."""
    number = 1
    while os.path.lexists(found := path.with_name(f"{path.name}.{word}-{number}")):
        number += 1
    return found


def read_regular(path: Path, most_bytes: int) -> bytes:
    """Read a whole file that is one, and not a device or a pipe that may never end.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not a regular file, or is larger than ``most_bytes``.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is no regular file")
    if found.st_size > most_bytes:
        raise ValueError(f"{found.st_size / 1e6:,.0f} MB is too large")
    return path.read_bytes()


def write_text(path: Path, text: str) -> None:
    """Write a file in UTF-8, whole or not at all; as :func:`replacing` does.

    Raises:
        RunFolderError: It cannot be written.
    """
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, as far as that is possible, where there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Have the disk hold a file, or a folder with all that is in it.

    What is renamed after that is whole under its new name, even where a power cut follows.
    """
    for part in (path, *path.rglob("*")) if path.is_dir() else (path,):
        if part.is_file() or part.is_dir():
            descriptor = os.open(part, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
