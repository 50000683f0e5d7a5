"""Where space files are found: beside the study, in the checkout, or in the installed package."""

from pathlib import Path

from hamerspace.config.study import is_path
from hamerspace.errors import ConfigError, did_you_mean

_PACKAGE = Path(__file__).parents[1]
_FOLDERS = (_PACKAGE / "_search_spaces", _PACKAGE.parent / "search_spaces")


def list_space_files() -> dict[str, Path]:
    """Name to path of every space that comes with Hamerspace."""
    for folder in _FOLDERS:
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return {}


def find_space_file(name: str, root: Path) -> Path:
    """The file of a space given by name, or by a path relative to ``root``.

    Raises:
        ConfigError: There is neither such a file nor a space of that name.
    """
    if is_path(name):
        path = root / Path(name).expanduser()
        if not path.is_file():
            raise ConfigError(f"space: no file {path}")
        return path
    known = list_space_files()
    if name not in known:
        raise ConfigError(f"space: unknown space '{name}'{did_you_mean(name, known)}")
    return known[name]
