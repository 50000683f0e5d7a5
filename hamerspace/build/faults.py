"""What is wrong with the disk under the store, told apart from what is wrong with a candidate."""

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hamerspace.errors import StoreError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_TELLING = (os.strerror(errno.ENOSPC), "database or disk is full")  # the latter of SQLite
_FREE_BYTES = 1_000_000
_DO = "free space, or choose another cache folder with HAMERSPACE_CACHE, and give the command again"


@contextmanager
def disk_faults(root: Path) -> Iterator[None]:
    """Raise what a full disk made fail as an error of the store in ``root``.

    Frameworks hide the reason behind errors of their own, so their causes and the disks are looked
    at too; what fills the disk must not have been removed yet.

    Raises:
        StoreError: The disk is full; what failed for another reason is raised as it is.
    """
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        full = full_disk(error, root)
        if full is None:
            raise
        raise StoreError(f"{full} is full: a build could not be written; {_DO}") from error


def refuse_lost(paths: Iterable[Path]) -> None:
    """Check that what a build or a measurement needed is still there.

    Raises:
        StoreError: Something is gone.
    """
    for path in paths:
        if not path.exists():
            raise StoreError(
                f"{path} is gone: something has deleted it from the folder of build results "
                "during the search; give the command again, which makes it anew"
            )


def full_disk(error: BaseException, root: Path) -> str | None:
    """The disk that is full, in words; ``None`` where none is.

    Args:
        error: What failed.
        root: Where it was to be written.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return f"the disk of {cause.filename or root}"
        if any(text in str(cause) for text in _TELLING):
            return f"the disk of {root}"
        cause = cause.__cause__ or cause.__context__
    for folder in (root, Path(tempfile.gettempdir())):
        if _free_bytes(folder) < _FREE_BYTES:
            return f"the disk of {folder}"
    return None


def _free_bytes(folder: Path) -> float:
    try:
        state = os.statvfs(folder)
    except OSError:
        return float("inf")
    # What has no blocks, such as the folder of devices on some systems, is never full.
    return state.f_bavail * state.f_frsize if state.f_blocks else float("inf")
