"""A content-addressed store of what build stages made, shared between studies.

The key of an entry is the hash of everything that decides its content, so an entry is never
stale. It is made in a temporary folder, flushed to the disk and renamed, so it is whole or absent.
What a process holds is not evicted: see :mod:`hamerspace.build.holds`. Nor is anything deleted
that a store did not make: only folders with the name of a key, in a folder that bears our mark.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hamerspace._files import flush
from hamerspace.build.faults import disk_faults
from hamerspace.build.holds import Holds, unheld
from hamerspace.errors import StoreError

logger = logging.getLogger(__name__)

DEFAULT_MAX_BYTES = 10 * 10**9
MARK = ".hamerspace-store"
"""An empty folder in a store, without which nothing in it is deleted."""

_SCRATCH = ".new-"
_KEY = re.compile(r"[0-9a-f]{64}")
_SCRATCH_OF_KEY = re.compile(r"\.new-[0-9a-f]{64}-\w+")
_SPARED_S = 60.0
_LEFT = {
    "manifest.json": {"inputs", "outputs", "metadata"},
    "task.json": {"info", "source_fingerprint"},
    "sensitivity.json": {"layer", "error"},
}
"""What an entry of ours holds one of, and the keys in it; else the outputs of a source model."""


def content_key(**parts: Any) -> str:
    """Hexadecimal SHA-256 of JSON-representable parts."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def is_key(text: str) -> bool:
    """Whether ``text`` is what :func:`content_key` returns for something."""
    return _KEY.fullmatch(text) is not None


def file_digest(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def default_store_folder() -> Path:
    """``$HAMERSPACE_CACHE``, or the user's cache folder."""
    chosen = os.environ.get("HAMERSPACE_CACHE")
    return Path(chosen) if chosen else _users_folder()


def _users_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("hamerspace")) / "store"


class Store:
    """Folders under their keys; the least recently used go first when the bound is reached.

    An entry belongs to the store, whoever made it: any number of processes read it and none writes
    it again. It lasts while somebody holds it and for a minute after it was used, and beyond
    that until :meth:`evict` needs the room. A store has no state but its folder, so there may be
    many of one folder, and nothing to close; each object is used from one thread.

    Args:
        root: Created on first use.
        max_bytes: Bound that :meth:`evict` keeps.
    """

    def __init__(self, root: Path, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.root = root.absolute()  # jobs that read it run in folders of their own
        self.max_bytes = max_bytes

    def path(self, key: str) -> Path:
        """Where the entry of a key lies, or would lie."""
        return self.root / key[:2] / key

    def get(self, key: str, holds: Holds | None = None) -> Path | None:
        """The folder of an entry, marked as used just now, or ``None``.

        Args:
            key: Of the entry.
            holds: Keep it from being evicted as long as they last.
        """
        path = self.path(key)
        with Holds() as passing:
            return path if (passing if holds is None else holds).take(path) else None

    def has(self, key: str) -> bool:
        """Whether there is an entry; it does not count as used."""
        return self.path(key).is_dir()

    def make(self, key: str, fill: Callable[[Path], None], holds: Holds | None = None) -> Path:
        """Return the entry of ``key``; where there is none, let ``fill`` make it.

        ``fill`` gets an empty folder. If it raises, nothing is kept. If another process made the
        same entry meanwhile, that one is kept. The disk holds an entry before it gets its name.

        Args:
            key: Of the entry.
            fill: Makes its content.
            holds: Keep it from being evicted as long as they last.

        Raises:
            StoreError: The store cannot be written, or its disk is full.
        """
        with Holds() as passing:
            holds = passing if holds is None else holds
            found = self.get(key, holds)
            if found is not None:
                return found
            path = self.path(key)
            with self._writing():
                self._mark()
                path.parent.mkdir(parents=True, exist_ok=True)
                scratch = self._scratch(key)
            holds.take(scratch)  # so that nobody takes it for abandoned, however long it takes
            try:
                with disk_faults(self.root):
                    fill(scratch)
                    flush(scratch)
                return self._place(scratch, path, holds)
            finally:
                holds.drop(scratch)
                shutil.rmtree(scratch, ignore_errors=True)

    def _place(self, scratch: Path, path: Path, holds: Holds) -> Path:
        """Give a whole entry its name, unless another process was faster."""
        with self._writing():
            try:
                holds.rename(scratch, path)
            except OSError:
                if not holds.take(path):
                    raise
        return path

    def evict(self) -> int:
        """Delete the least recently used entries over the bound; return the bytes freed.

        Those that are held stay, and those used just now, which may be on their way from the
        process that made them to the one that will use them. Where nothing may be deleted, as of
        a cache that one may only read, nothing is.
        """
        if not (self.root / MARK).is_dir():
            if not self._entries():
                return 0
            with contextlib.suppress(OSError):
                self._mark()
        if not (self.root / MARK).is_dir():
            logger.warning(
                "%s has no %s, so what lies there may be another's and nothing is deleted; "
                "choose an empty folder with HAMERSPACE_CACHE",
                self.root,
                MARK,
            )
            return 0
        self._drop_abandoned()
        entries = []
        for entry in self._entries():
            with contextlib.suppress(FileNotFoundError):  # another process evicts as well
                entries.append((entry.stat().st_mtime, _folder_bytes(entry), entry))
        total, freed = sum(size for _, size, _ in entries), 0
        for used_s, size, entry in sorted(entries):
            if total - freed <= self.max_bytes:
                break
            if _is_old(used_s) and self._delete(entry):
                freed += size
        return freed

    def _delete(self, entry: Path) -> bool:
        """Delete an entry that nobody holds; return whether it is gone."""
        # Renamed first, so that nobody meets a folder that is half gone.
        doomed = None
        try:
            with unheld(entry) as free:
                if free:
                    doomed = self._scratch(entry.name)
                    entry.rename(doomed)
        except FileNotFoundError:  # another process has evicted it just now
            return True
        except OSError:
            return False
        finally:
            if doomed is not None:
                shutil.rmtree(doomed, ignore_errors=True)
        return free or not entry.exists()

    def _drop_abandoned(self) -> None:
        """Delete scratch folders that killed processes left."""
        for scratch in self.root.glob(f"{_SCRATCH}*"):
            if not _SCRATCH_OF_KEY.fullmatch(scratch.name):
                continue
            with contextlib.suppress(FileNotFoundError), unheld(scratch) as free:
                if free and _is_old(scratch.stat().st_mtime):
                    shutil.rmtree(scratch, ignore_errors=True)

    def _scratch(self, key: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{key}-", dir=self.root))

    def _entries(self) -> list[Path]:
        """Folders with the name of a key where that has its place; links are none."""
        return [
            path
            for path in self.root.glob("??/*")
            if is_key(path.name)
            and path == self.path(path.name)
            and path.is_dir()
            and not (path.is_symlink() or path.parent.is_symlink())
        ]

    def _mark(self) -> None:
        """Make the folder a store, unless entries that it holds may be another's.

        Earlier versions made no mark, but the user's cache folder, and entries like ours.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        mark = self.root / MARK
        if mark.is_dir():
            return
        if all(map(_is_ours, self._entries())) or self._is_users():
            mark.mkdir(exist_ok=True)

    def _is_users(self) -> bool:
        try:
            return self.root.resolve() == _users_folder().resolve()
        except ModuleNotFoundError:  # in a tool environment: its caller marks what it may
            return False

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with disk_faults(self.root):
                yield
        except OSError as error:
            raise StoreError(
                f"the folder of build results {self.root} cannot be written ({error.strerror}); "
                "choose another with HAMERSPACE_CACHE"
            ) from error


def _is_ours(entry: Path) -> bool:
    """Whether what lies in an entry is what build stages leave."""
    if [path.name for path in entry.iterdir()] == ["outputs.npy"]:
        return True
    for name, keys in _LEFT.items():
        try:
            found = json.loads((entry / name).read_bytes())
        except (OSError, ValueError):
            continue
        first = found[0] if isinstance(found, list) and found else found
        if isinstance(first, dict) and keys <= first.keys():
            return True
    return False


def _is_old(used_s: float) -> bool:
    return time.time() - used_s > _SPARED_S


def _folder_bytes(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
