"""Studies from flags of the command line, and flags over a study file.

Messages name the flag that was wrong (``--max-size-mb``), not a key that nobody wrote.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hamerspace.config.loading import missing_files
from hamerspace.config.problems import Problem, problems_of
from hamerspace.config.settings import SETTINGS
from hamerspace.config.study import ONLY_INPUT, REFERENCE_PATTERN, LoadedStudy, StudyConfig, is_path
from hamerspace.config.yaml_file import Location
from hamerspace.constraints import check_hardware
from hamerspace.errors import ConfigError, did_you_mean

StudyFlags = dict[str, Any]
"""Values of :data:`~hamerspace.config.settings.SETTINGS` by name; ``None`` is not given."""


def merged(*parts: StudyFlags) -> StudyFlags:
    """The flags together; later ones go over earlier ones, and what is not given over nothing."""
    return {name: value for part in parts for name, value in part.items() if value is not None}


_OF_HARDWARE: dict[str | None, StudyFlags] = {
    None: {},
    "cpu": {"hardware": "cpu"},
    "arm": {"space": "arm"},
    "edge": {"space": "edge", "threads": 1, "objectives": ("size", "quality", "latency")},
    "gpu": {"hardware": "gpu"},
}


def hardware_flags(hardware: str | None) -> StudyFlags:
    """The flags that a kind of hardware stands for; ``None`` leaves a study as it is.

    Args:
        hardware: ``cpu``, ``arm``, ``edge`` (one thread, bytes first) or ``gpu`` (CUDA).

    Raises:
        ConfigError: There is no such kind.
    """
    check_hardware(hardware)
    return _OF_HARDWARE[hardware]


_SHAPE = re.compile(r"^(?:(?P<name>.+)=)?(?P<dims>[^=:]+)(?::(?P<dtype>[^=:]+))?$")


def study_from_flags(
    model: str,
    *,
    inputs: Sequence[str] = (),
    trust_pickle: bool = False,
    **flags: Any,
) -> LoadedStudy:
    """Make a study without a file.

    Args:
        model: Path of a model file, or ``module:function`` that builds a PyTorch module.
        inputs: ``NAME=1x3x224x224`` or ``NAME=?x128:int64``; ``?`` is a free dimension. The only
            input of a model needs no name: ``1x3x224x224``.
        trust_pickle: Whether pickled weights may be loaded.
        flags: As in :data:`StudyFlags`. The name defaults to that of the model.

    Raises:
        ConfigError: With one line for each wrong flag.
    """
    builds = _is_reference(model)
    source: dict[str, Any] = {"builder" if builds else "path": model}
    if inputs:
        source["inputs"] = dict(_parse_input(text) for text in inputs)
    values = {"name": study_name(model), "task": {"source": source}}
    return _apply(values, Path.cwd(), None, trust_pickle, flags)


def study_name(model: str) -> str:
    """Name of a study of a model file, or of what ``module:function`` builds."""
    stem = model.partition(":")[0] if _is_reference(model) else Path(model).stem
    return re.sub(r"[^\w.-]+", "-", stem, flags=re.ASCII).strip("-._") or "study"


def override(loaded: LoadedStudy, *, trust_pickle: bool | None = None, **flags: Any) -> LoadedStudy:
    """Apply flags to a loaded study. Relative paths in flags start from the current folder.

    Raises:
        ConfigError: With one line for each wrong flag.
    """
    values = loaded.config.model_dump(exclude_unset=True)
    trust = loaded.trust_pickle if trust_pickle is None else trust_pickle
    return _apply(values, loaded.root, loaded.file, trust, flags)


def backend_names(backends: Sequence[str] | None) -> tuple[str, ...] | None:
    """The backends that a caller names; ``None`` restricts nothing.

    Raises:
        ConfigError: It is a text, which would be read letter by letter, or empty.
    """
    if backends is None:
        return None
    if isinstance(backends, str):
        raise ConfigError(f"backends: give names in a list, such as ['{backends}'], not one text")
    if not backends:
        raise ConfigError("backends: is empty; name at least one, or leave it out")
    return tuple(backends)


def _apply(
    values: dict[str, Any], root: Path, file: Path | None, trust_pickle: bool, flags: StudyFlags
) -> LoadedStudy:
    unknown = next((flag for flag in flags if flag not in SETTINGS), None)
    if unknown is not None:
        raise ConfigError(f"unknown argument '{unknown}'{did_you_mean(unknown, SETTINGS)}")
    given = {flag: value for flag, value in flags.items() if value is not None}
    locations = {flag: SETTINGS[flag].location for flag in given}
    if "data" in given:
        # Another origin of data replaces the old one; only the name of the labels stays.
        kept = values["task"].get("data") or {}
        values["task"]["data"] = {k: v for k, v in kept.items() if k == "labels"}
        if _is_reference(str(given["data"])):
            locations["data"] = ("task", "data", "load")
    elif "labels" in given and not values["task"].get("data"):
        raise ConfigError("--labels: there are no data that could hold labels; give --data too")
    for flag, value in given.items():
        _set(values, locations[flag], _from_current_folder(flag, value, root))
    try:
        config = StudyConfig.model_validate(values)
    except ValidationError as error:
        raise _error(problems_of(error, StudyConfig), locations) from error
    loaded = LoadedStudy(config=config, root=root, file=file, trust_pickle=trust_pickle)
    problems = missing_files(loaded)
    if problems:
        raise _error(problems, locations)
    return loaded


def _from_current_folder(flag: str, value: Any, root: Path) -> Any:
    """Make a flag's path absolute where the study's paths start from another folder."""
    holds_path = flag in ("data", "weights") or (flag == "space" and is_path(str(value)))
    if not holds_path or root == Path.cwd() or (flag == "data" and _is_reference(str(value))):
        return value
    return value if str(value).startswith("~") else str(Path.cwd() / value)


def _is_reference(text: str) -> bool:
    return re.fullmatch(REFERENCE_PATTERN, text) is not None and not Path(text).exists()


def _set(values: dict[str, Any], location: Location, value: Any) -> None:
    for step in location[:-1]:
        values = values.setdefault(str(step), {})
    values[str(location[-1])] = value


def _parse_input(text: str) -> tuple[str, dict[str, Any]]:
    match = _SHAPE.match(text)
    dims = match["dims"].lower().split("x") if match else []
    if match is None or not all(d == "?" or d.isdecimal() for d in dims):
        raise ConfigError(
            f"--input: '{text}' is not of the form NAME=1x3x224x224, NAME=?x128:int64 or, for the "
            "only input, 1x3x224x224"
        )
    section: dict[str, Any] = {"shape": [None if d == "?" else int(d) for d in dims]}
    if match["dtype"]:
        section["dtype"] = match["dtype"]
    return match["name"] or ONLY_INPUT, section


def _error(problems: list[Problem], locations: dict[str, Location]) -> ConfigError:
    return ConfigError("\n".join(_line(problem, locations) for problem in problems))


def _line(problem: Problem, locations: dict[str, Location]) -> str:
    flag = _flag_of(problem.location, locations)
    if flag is None:
        return str(problem)
    return f"{flag}:{problem.after}" if problem.after[:1] == " " else f"{flag}{problem.after}"


def _flag_of(location: Location, locations: dict[str, Location]) -> str | None:
    if location[:3] == ("task", "source", "inputs"):
        return "--input"
    if location[:3] in (("task", "source", "path"), ("task", "source", "builder")):
        return "model"
    for flag, at in locations.items():
        shared = min(len(at), len(location))
        if shared and at[:shared] == location[:shared]:
            return SETTINGS[flag].option
    return None
