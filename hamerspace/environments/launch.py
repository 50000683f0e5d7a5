"""Run this Hamerspace on the interpreter of a tool environment."""

import hashlib
import os
from pathlib import Path

from hamerspace.errors import HamerspaceError

_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
"""Variables that would lead a foreign interpreter to our packages."""


def process_variables(python: Path) -> dict[str, str]:
    """Environment variables under which the interpreter of a tool environment imports Hamerspace.

    The folder that joins its path holds a link to this package and nothing else: what is installed
    beside the package, which is what the environment is kept apart from, does not leak in.

    Args:
        python: What :func:`~hamerspace.environments.environment_python` returned.

    Raises:
        HamerspaceError: The link cannot be written.
    """
    folder = _link_folder(python.parent.parent)
    kept = {name: value for name, value in os.environ.items() if name not in _OURS}
    return {**kept, "PYTHONPATH": str(folder), "PYTHONNOUSERSITE": "1"}


def _link_folder(environment: Path) -> Path:
    package = Path(__file__).absolute().parents[1]
    # Two installations of Hamerspace may share an environment, so each has a link of its own.
    digest = hashlib.sha256(str(package).encode()).hexdigest()[:12]
    link = environment / "links" / digest / "hamerspace"
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(package, target_is_directory=True)
    except FileExistsError:  # another process was faster
        pass
    except OSError as error:
        raise HamerspaceError(
            f"cannot write {link}: {error.strerror}; the tool environment must be writable"
        ) from error
    return link.parent
