"""A content-addressed store of what build stages made, shared between studies.

The key of an entry is the hash of everything that decides its content, so an entry is never
stale. It is made in a temporary folder and renamed, so it is whole or absent.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEFAULT_MAX_BYTES = 10 * 10**9
_ABANDONED_AFTER_S = 24 * 3600


def content_key(**parts: Any) -> str:
    """Hexadecimal SHA-256 of JSON-representable parts."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def default_store_folder() -> Path:
    """``$HAMERSPACE_CACHE``, or the user's cache folder."""
    import platformdirs

    chosen = os.environ.get("HAMERSPACE_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("hamerspace")) / "store"


class Store:
    """Folders under their keys; the least recently used go first when the bound is reached.

    Args:
        root: Created on first use.
        max_bytes: Bound that :meth:`evict` keeps.
    """

    def __init__(self, root: Path, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.root = root
        self.max_bytes = max_bytes

    def path(self, key: str) -> Path:
        """Where the entry of a key lies, or would lie."""
        return self.root / key[:2] / key

    def get(self, key: str) -> Path | None:
        """The folder of an entry, marked as used just now, or ``None``."""
        path = self.path(key)
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        return path

    def has(self, key: str) -> bool:
        """Whether there is an entry; it does not count as used."""
        return self.path(key).is_dir()

    def make(self, key: str, fill: Callable[[Path], None]) -> Path:
        """Return the entry of ``key``; where there is none, let ``fill`` make it.

        ``fill`` gets an empty folder. If it raises, nothing is kept. If another process made the
        same entry meanwhile, that one is kept.
        """
        found = self.get(key)
        if found is not None:
            return found
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".new-", dir=self.root))
        try:
            fill(scratch)
            try:
                scratch.rename(path)
            except OSError:
                if not path.is_dir():
                    raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return path

    def evict(self) -> int:
        """Delete the least recently used entries over the bound; return the bytes freed."""
        if not self.root.is_dir():
            return 0
        self._drop_abandoned()
        entries = []
        for entry in self.root.glob("??/*"):
            with contextlib.suppress(FileNotFoundError):  # another process evicts as well
                entries.append((entry.stat().st_mtime, _folder_bytes(entry), entry))
        total, freed = sum(size for _, size, _ in entries), 0
        for _, size, entry in sorted(entries):
            if total - freed <= self.max_bytes:
                break
            # Renamed first, so that nobody meets a folder that is half gone.
            doomed = Path(tempfile.mkdtemp(prefix=".new-", dir=self.root))
            with contextlib.suppress(FileNotFoundError):
                entry.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)
            freed += size
        return freed

    def _drop_abandoned(self) -> None:
        """Delete scratch folders that a killed process left a day ago or earlier."""
        for scratch in self.root.glob(".new-*"):
            try:
                if time.time() - scratch.stat().st_mtime > _ABANDONED_AFTER_S:
                    shutil.rmtree(scratch, ignore_errors=True)
            except FileNotFoundError:
                continue


def _folder_bytes(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
