"""Write a study that was made in Python as a file."""

from pathlib import Path
from typing import Any

from hamerspace._files import write_text
from hamerspace.config.study import LoadedStudy
from hamerspace.config.yaml_file import yaml_text
from hamerspace.errors import ConfigError
from hamerspace.tasks.user_code import SESSION, reference_file


def write_study_file(loaded: LoadedStudy, path: Path) -> None:
    """Write a study file that means the same wherever it lies.

    Raises:
        ConfigError: A function was given to validate with, which no file can hold; or a module is
            named that does not lie in the file's folder, where studies look for modules.
        RunFolderError: It cannot be written.
    """
    if (loaded.config.task.quality.metric or "").startswith(f"{SESSION}:"):
        raise ConfigError(
            "a function given as validate= cannot be written to a file; put it into a module and "
            "give metric='module:function'"
        )
    _refuse_other_modules(loaded, path.parent)
    values = loaded.config.model_dump(mode="json", exclude_unset=True)
    _name_files_absolutely(values, loaded)
    write_text(path, yaml_text(values))


def _name_files_absolutely(values: dict[str, Any], loaded: LoadedStudy) -> None:
    """Paths in a study file start from its own folder, these from where they were given."""
    for section, path in (("source", loaded.source_path), ("data", loaded.data_path)):
        if path is not None:
            values["task"][section]["path"] = str(path)
    if loaded.weights_path is not None:
        values["task"]["source"]["weights"] = str(loaded.weights_path)
    if loaded.space_path is not None:
        values["space"] = str(loaded.space_path)


def _refuse_other_modules(loaded: LoadedStudy, folder: Path) -> None:
    """Refuse references to modules beside which a study file would not lie."""
    for reference in loaded.references:
        if loaded.root != folder and reference_file(reference, loaded.root) is not None:
            raise ConfigError(
                f"the module of '{reference}' lies in {loaded.root}, and a study's modules start "
                "from its own folder; write the file there"
            )
