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
    """Digest of the Python files beside a module, which is not imported.

    Our own adapters change between releases as well as the packages they call.
    """
    spec = find_spec(module)
    digest = hashlib.sha256()
    if spec is not None and spec.origin is not None:
        for path in sorted(Path(spec.origin).parent.glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
