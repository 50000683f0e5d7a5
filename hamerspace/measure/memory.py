"""How much memory there is: the machine's, or what a container leaves of it."""

from collections.abc import Iterator
from pathlib import Path

import psutil

_PART = 0.75
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def available_mb() -> float:
    """MB that this process may take: the least of the machine's and its control groups' limits."""
    limits = (float(text) for text in _limits() if text.isdecimal())  # "max" is none
    return min((psutil.virtual_memory().total, *limits)) / 1e6


def default_limit_mb() -> float:
    """MB that one build or one measuring process may take: three quarters of all."""
    return _PART * available_mb()


def _limits() -> Iterator[str]:
    """What the control groups of this process, version 1 and 2, and those around them allow.

    In a container the files of the own group often lie at the root, whatever it is called outside.
    """
    try:
        groups = [line.split(":", 2) for line in _OWN_CGROUP.read_text().splitlines()]
    except OSError:
        groups = []
    for kind, file in (("", "memory.max"), ("memory", "memory.limit_in_bytes")):
        root = _CGROUPS / kind
        names = (g[2] for g in groups if len(g) == 3 and kind in g[1].split(","))
        folders = {root, *(p for n in names for p in _upwards(root, n))}
        for folder in sorted(folders):
            try:
                yield (folder / file).read_text().strip()
            except OSError:
                continue


def _upwards(root: Path, group: str) -> Iterator[Path]:
    folder = root / group.lstrip("/")
    yield folder
    yield from (parent for parent in folder.parents if parent.is_relative_to(root))
