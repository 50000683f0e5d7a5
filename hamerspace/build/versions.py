"""What of the installed code decides the content of a stage's result."""

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path


def installed_versions(distributions: tuple[str, ...]) -> dict[str, str]:
    """Versions of the packages that are installed."""
    found = {}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def code_digest(module: str) -> str:
    """Digest of the Python files beside a module and below, and of those that its package shares.

    The module is not imported. Shared are the files of the package that holds the module's own: a
    backend's helpers lie in ``hamerspace/backends``. Of a module outside any package only the
    files beside it count: below may lie all that is installed.

    Our own adapters change between releases as well as the packages they call.
    """
    spec = find_spec(module)
    digest = hashlib.sha256()
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent
        packaged = "." in module or spec.submodule_search_locations is not None
        files = sorted(folder.rglob("*.py") if packaged else folder.glob("*.py"))
        if packaged and (folder.parent / "__init__.py").is_file():
            files += sorted(folder.parent.glob("*.py"))
        for path in files:
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
