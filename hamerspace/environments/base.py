"""What tool environments there are, which of them are installed, and where."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hamerspace._registry import Registry

MARKER = "hamerspace.json"
"""Written last: a folder without it, or with other requirements in it, is not installed."""


@dataclass(frozen=True)
class Environment:
    """A tool that lives apart.

    Attributes:
        name: Registry name, and that of its folder.
        title: One line for people.
        requirements: What pip installs; the versions are pinned, so that a result can be had again.
        modules: Modules that must be importable once it is installed.
        disk_mb: Space that it takes, about.
    """

    name: str
    title: str
    requirements: tuple[str, ...]
    modules: tuple[str, ...]
    disk_mb: int


ENVIRONMENTS: Registry[Environment] = Registry(
    "tool environment",
    "hamerspace.environments",
    {
        "litert-torch": "hamerspace.environments.catalog:LITERT_TORCH",
        "tvm": "hamerspace.environments.catalog:TVM",
    },
)
"""Tool environments by name. A new one is one line here, or an entry point."""


def data_folder() -> Path:
    """``$HAMERSPACE_DATA``, or the user's data folder: what is kept until the user deletes it."""
    chosen = os.environ.get("HAMERSPACE_DATA")
    if chosen:
        return Path(chosen).absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("hamerspace"))


def environments_folder() -> Path:
    """Where tool environments lie."""
    return data_folder() / "environments"


def environment_python(name: str) -> Path | None:
    """The interpreter of a tool environment; ``None`` where it is not installed, or only in part.

    Raises:
        HamerspaceError: No tool environment has this name.
    """
    folder = environments_folder() / name
    wanted = list(ENVIRONMENTS.load(name).requirements)
    if _read_marker(folder).get("requirements") != wanted:
        return None
    python = interpreter_of(folder)
    # A link that dangles: the Python that it was made with is gone.
    return python if python.exists() else None


def environment_versions(name: str) -> dict[str, str]:
    """Versions of all packages of a tool environment; empty where it is not installed."""
    if environment_python(name) is None:
        return {}
    versions: dict[str, str] = _read_marker(environments_folder() / name)["versions"]
    return versions


def requirement_name(requirement: str) -> str:
    """The package that a requirement such as ``onnx>=1.19,<1.24`` names."""
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]


def install_hint(name: str) -> str:
    """The command that installs a tool environment."""
    return f"hamerspace backends install {name}"


def interpreter_of(folder: Path) -> Path:
    """The interpreter in the folder of a virtual environment."""
    return folder / "bin" / "python"


def _read_marker(folder: Path) -> dict[str, Any]:
    try:
        value = json.loads((folder / MARKER).read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
