"""What of the installed code decides the content of a stage's result."""

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_ABOVE_BUILDS = frozenset(
    {
        *("cli", "dashboard", "optimizer", "progress", "report", "search", "space", "testing"),
        *("study.py", "_summary.py"),
    }
)
"""What nothing that builds or measures imports: see the layers of ``pyproject.toml``."""


@cache
def code_digest(module: str) -> str:
    """Digest of all code that may decide what an adapter makes.

    The module is not imported. Of Hamerspace every Python file counts, that of its version among
    them, but for the packages that only choose and show: adapters lean on helpers that lie
    anywhere in the rest. Of a module of others the whole package counts; outside any package only
    the files beside it, as below may lie all that is installed.
    """
    digest = _own_code().copy()
    _update(digest, _code_of_others(module))
    return digest.hexdigest()


@cache
def _own_code() -> "hashlib._Hash":
    digest = hashlib.sha256()
    files = ((_ROOT, path) for path in sorted(_ROOT.rglob("*.py")))
    _update(digest, (f for f in files if f[1].relative_to(_ROOT).parts[0] not in _ABOVE_BUILDS))
    return digest


def _update(digest: "hashlib._Hash", files: Iterable[tuple[Path, Path]]) -> None:
    for root, path in files:
        content = hashlib.sha256(path.read_bytes()).digest()
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + content)


def _code_of_others(module: str) -> Iterator[tuple[Path, Path]]:
    parts = module.split(".")
    if parts[0] == _ROOT.name:
        return
    # The outermost package with a file of its own: a namespace may be shared with anybody.
    for count in range(1, len(parts) + 1):
        spec = find_spec(".".join(parts[:count]))
        if spec is not None and spec.origin is not None:
            folder = Path(spec.origin).parent
            packaged = spec.submodule_search_locations is not None or count > 1
            for path in sorted(folder.rglob("*.py") if packaged else folder.glob("*.py")):
                yield folder, path
            return
