"""The keys of a study file that keyword arguments and options of the command line set as well.

What they are called, what they take and what they mean, the models of the study file say.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from hamerspace.config.study import Section, StudyConfig
from hamerspace.config.yaml_file import Location

Function = TypeVar("Function", bound=Callable[..., Any])

_NAMES: dict[Location, str] = {("task", "data", "path"): "data", ("target", "name"): "target"}
"""Keys whose keyword argument has another name."""

_FILE_ONLY = frozenset[Location](
    {
        ("task", "source", "format"),
        ("task", "source", "path"),
        ("task", "source", "builder"),
        ("task", "source", "inputs"),
        ("task", "data", "load"),
        ("task", "data", "whole_batches"),
        ("task", "quality", "loss"),
    }
)

_SPOKEN = {
    "timeout_s": "timeout",
    "build_timeout_s": "build_timeout",
    "hardware": "target_hardware",
    "constants": "constant",
    "output": "output_name",
}
"""Keyword arguments whose name on the command line is another."""


@dataclass(frozen=True)
class Setting:
    """One of these keys.

    Attributes:
        name: Of the keyword argument.
        location: Of the key in a study file.
        option: On the command line, such as ``--max-size-mb``.
        type: ``bool``, ``int``, ``float``, ``str``, or ``list[str]`` where it takes several words.
        choices: The words that it takes; empty where these are not all known.
        default: What is meant where it is left out; ``None`` where that is nothing, or not fixed.
        text: The first sentence of the key's description, without its full stop.
    """

    name: str
    location: Location
    option: str
    type: Any
    choices: tuple[str, ...]
    default: Any
    text: str

    def told(self, *, default: bool) -> str:
        """What it is and takes, in one line without a full stop; with its default or without."""
        notes = [", ".join(self.choices)] if self.choices else []
        if default and self.default not in (None, ()):
            value = ", ".join(self.default) if self.type == list[str] else self.default
            notes.append(f"default: {f'{value:g}' if isinstance(value, float) else value}")
        return f"{self.text} ({'; '.join(notes)})" if notes else self.text

    @property
    def help(self) -> str:
        """The same as a sentence, with the default."""
        return f"{self.told(default=True)}."


def _settings(model: type[Section], at: Location = ()) -> Iterator[Setting]:
    for key, field in model.model_fields.items():
        location, kind = (*at, key), _kind(field.annotation)
        if inspect.isclass(kind) and issubclass(kind, Section):
            yield from _settings(kind, location)
        elif location not in _FILE_ONLY:
            yield _setting(_NAMES.get(location, key), location, kind, field)


def _setting(name: str, location: Location, kind: Any, field: FieldInfo) -> Setting:
    several = get_origin(kind) is tuple
    return Setting(
        name,
        location,
        f"--{_SPOKEN.get(name, name).replace('_', '-')}",
        list[str] if several else kind if kind in (bool, int, float) else str,
        _choices(_kind(get_args(kind)[0]) if several else kind),
        None if field.is_required() else field.default,
        (field.description or "").partition(". ")[0].removesuffix("."),
    )


def _kind(annotation: Any) -> Any:
    """Of a value that is given: without ``None`` and without bounds."""
    while get_origin(annotation) in (Annotated, Union, UnionType):
        annotation = get_args(annotation)[0]
    return annotation


def _choices(kind: Any) -> tuple[str, ...]:
    if inspect.isclass(kind) and issubclass(kind, Enum):
        return tuple(member.value for member in kind)
    return get_args(kind) if get_origin(kind) is Literal else ()


SETTINGS = {setting.name: setting for setting in _settings(StudyConfig)}
"""Keyword argument to setting, in the order of a study file."""


def limits() -> tuple[str, ...]:
    """Names of the limits on a candidate."""
    return tuple(name for name, s in SETTINGS.items() if s.location[0] == "constraints")


def takes_settings(function: Function) -> Function:
    """Name each setting in the signature and the docstring of a function of ``**flags``."""
    signature, documentation = inspect.signature(function), inspect.getdoc(function)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    added = [
        inspect.Parameter(
            s.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=s.type | None
        )
        for s in SETTINGS.values()
    ]
    function.__dict__["__signature__"] = signature.replace(parameters=[*own, *added])
    if documentation is not None:  # not under python -OO
        lines = "".join(f"\n    {s.name}: {s.help}" for s in SETTINGS.values())
        function.__doc__ = f"{documentation}\n\nKeyword Args:{lines}\n"
    return function
