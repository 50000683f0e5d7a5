"""Copy a study that comes with Hamerspace."""

import shutil
from pathlib import Path

from hamerspace.config.packaged import packaged_examples
from hamerspace.errors import ConfigError, did_you_mean

_LEFT_OUT = shutil.ignore_patterns("__pycache__", "runs", ".*")


def copy_example(name: str, output: Path | None, *, force: bool = False) -> Path:
    """Copy an example study and return its study file.

    Args:
        name: Such as ``fashion_mnist``.
        output: The folder to make; default: one of the study's name.
        force: Write over the files that stand there.

    Raises:
        ConfigError: There is no such example, or the folder holds files.
    """
    known = packaged_examples()
    if name not in known:
        raise ConfigError(f"--example: there is no example '{name}'{did_you_mean(name, known)}")
    folder = output or Path(name)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file; name a folder with --output")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise ConfigError(f"{folder}: holds files; name another folder with --output, or --force")
    shutil.copytree(known[name], folder, ignore=_LEFT_OUT, dirs_exist_ok=force or folder.is_dir())
    return folder / "study.yaml"
