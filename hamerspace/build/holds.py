"""Folders that no process may delete while another one uses them.

A hold is a shared lock of the kernel on the folder itself (``flock``). So it ends with the process
that has it, however that ends, leaves no file behind, and needs no right to write.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

_CANNOT_WRITE = {errno.EACCES, errno.EPERM, errno.EROFS}


class Holds(AbstractContextManager["Holds"]):
    """Folders held by this process, until they are released or the process ends."""

    def __init__(self) -> None:
        self._descriptors: dict[Path, int] = {}

    def take(self, folder: Path) -> bool:
        """Hold a folder and mark it as used just now; return whether it is there."""
        if folder in self._descriptors:
            # Deleted by hand, it may have been made anew meanwhile.
            if _is_still(folder, self._descriptors[folder]):
                _mark_used(self._descriptors[folder])
                return True
            os.close(self._descriptors.pop(folder))
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return False
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        if not _is_still(folder, descriptor):  # it was deleted between opening and locking
            os.close(descriptor)
            return False
        _mark_used(descriptor)
        self._descriptors[folder] = descriptor
        return True

    def rename(self, folder: Path, new: Path) -> None:
        """Rename a folder that is held; the hold goes with it.

        Raises:
            OSError: It cannot be renamed, for one because ``new`` is there and not empty.
        """
        folder.rename(new)
        self._descriptors[new] = self._descriptors.pop(folder)
        _mark_used(self._descriptors[new])

    def drop(self, folder: Path) -> None:
        """Let go of one folder, where it is held."""
        descriptor = self._descriptors.pop(folder, None)
        if descriptor is not None:
            os.close(descriptor)

    def mark_used(self) -> None:
        """Mark all that is held as used just now."""
        for descriptor in self._descriptors.values():
            _mark_used(descriptor)

    def release(self) -> None:
        """Let go of everything, used until now."""
        while self._descriptors:
            _, descriptor = self._descriptors.popitem()
            _mark_used(descriptor)
            os.close(descriptor)

    def __exit__(self, *_: object) -> None:
        self.release()


@contextmanager
def unheld(folder: Path) -> Iterator[bool]:
    """Whether nobody holds a folder; within the block nobody will."""
    descriptor = None
    with contextlib.suppress(OSError):  # gone, or not ours
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor is not None and _lock_alone(descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _lock_alone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, where nobody can hold anything
        return True
    return True


def _is_still(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _mark_used(descriptor: int) -> None:
    """Set the time of the last use, where this process may."""
    try:
        os.utime(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
