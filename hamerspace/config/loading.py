"""Read study files and space files; every mistake is named with its file, line and key."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from hamerspace.config.problems import Problem, problems_of
from hamerspace.config.space import SpaceConfig
from hamerspace.config.study import LoadedStudy, StudyConfig
from hamerspace.config.yaml_file import YamlFile, read_yaml
from hamerspace.errors import ConfigError

M = TypeVar("M", bound=BaseModel)


def load_study(path: Path) -> LoadedStudy:
    """Read and check a study file, and that the files which it names exist.

    Relative paths in it start from its own folder.

    Raises:
        ConfigError: With one line for each mistake: file, line, dotted key, and what to do.
    """
    document = read_yaml(path)
    config = _validated(StudyConfig, document)
    loaded = LoadedStudy(config=config, root=path.absolute().parent, file=path.absolute())
    problems = missing_files(loaded)
    if problems:
        raise _error(document, problems)
    return loaded


def parse_space_file(path: Path) -> SpaceConfig:
    """Read and check a space file.

    Whether its parameters exist in a backend is not checked here; the space layer does.

    Raises:
        ConfigError: With one line for each mistake: file, line, dotted key, and what to do.
    """
    return _validated(SpaceConfig, read_yaml(path))


def missing_files(loaded: LoadedStudy) -> list[Problem]:
    """A problem for each file that the study names and that is not there."""
    named = [
        (("task", "source", "path"), loaded.source_path),
        (("task", "source", "weights"), loaded.weights_path),
        (("task", "data", "path"), loaded.data_path),
        (("space",), loaded.space_path),
    ]
    problems = []
    for location, path in named:
        # Some models are folders; reading the source tells whether this is one of them.
        folders = location == ("task", "source", "path")
        what = None if path is None else _not_a_file(path, folders=folders)
        if what is None:
            continue
        hint = "relative paths start from the study file's folder" if loaded.file else "check it"
        fetch = loaded.root / "fetch.py"
        if folders and loaded.file and fetch.is_file():
            hint = f"fetch it first: python {fetch}"
        problems.append(Problem(location, f": {what}: {path}; {hint}"))
    return problems


def _not_a_file(path: Path, *, folders: bool) -> str | None:
    try:
        if path.is_file() or (folders and path.is_dir()):
            return None
        return "is a folder, not a file" if path.is_dir() else "no such file"
    except OSError as error:  # such as a name that is too long for the file system
        return error.strerror or "cannot be read"


def _validated(model: type[M], document: YamlFile) -> M:
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        raise _error(document, problems_of(error, model)) from error


def _error(document: YamlFile, problems: list[Problem]) -> ConfigError:
    lines = sorted((document.line_of(p.location), str(p)) for p in problems)
    return ConfigError("\n".join(f"{document.path}:{line}: {text}" for line, text in lines))
