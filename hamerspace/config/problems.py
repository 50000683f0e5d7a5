"""Say in words what pydantic found wrong, for a key of a file or a flag of the command line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hamerspace.config.study import NAME_PATTERN, REFERENCE_PATTERN
from hamerspace.config.yaml_file import Location
from hamerspace.errors import did_you_mean

_EXPECTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "model_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
    "dict_type": "a mapping of keys",
    "tuple_type": "a list",
    "list_type": "a list",
}
_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}
_PATTERNS = {
    REFERENCE_PATTERN: "of the form module:function",
    NAME_PATTERN: "letters, digits, '_', '-' and '.' only, starting with a letter or digit",
}


@dataclass(frozen=True)
class Problem:
    """One mistake: ``before``, then the key or the flag, then ``after`` make the sentence."""

    location: Location
    after: str
    before: str = ""

    @property
    def key(self) -> str:
        """The location as people write it: ``task.source.inputs.image.shape[0]``."""
        words = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in self.location)
        return words.lstrip(".")

    def __str__(self) -> str:
        return f"{self.before}'{self.key}'{self.after}" if self.location else self.after.strip()


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Every mistake that pydantic found while it read a ``model``."""
    found = error.errors(include_url=False)
    inner = {details["loc"][:n] for details in found for n in range(len(details["loc"]))}
    # Of a list whose only entry is wrong, pydantic also says that it is too short.
    kept = [d for d in found if d["type"] != "too_short" or d["loc"] not in inner]
    return [_problem(details, model) for details in kept]


def shown(value: Any) -> str:
    """A value for a message, short, with its kind where that is not plain."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value)
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return f"the text {text}" if isinstance(value, str) else text


def _problem(details: ErrorDetails, model: type[BaseModel]) -> Problem:
    kind, location = details["type"], details["loc"]
    if kind == "extra_forbidden":
        return Problem(location, _nearest_key(location, model), "unknown key ")
    if kind == "missing":
        return Problem(location, _purpose(location, model), "missing key ")
    if kind in ("value_error", "assertion_error"):
        # Own validators write sentences that follow their key: "names 'size' twice".
        return Problem(location, f" {details['ctx']['error']}")
    if details["input"] is None and kind in _EXPECTED:
        return Problem(location, " is empty; fill it in or delete the key")
    expected, got = _expected_and_got(details)
    if not expected:
        return Problem(location, f": {details['msg']}, not {got}")
    return Problem(location, f" must be {expected}, not {got}{_remedy(location, kind)}")


def _expected_and_got(details: ErrorDetails) -> tuple[str, str]:
    kind, context = details["type"], details.get("ctx", {})
    got = shown(details["input"])
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        bound = context[name]
        return f"{words} {bound if isinstance(bound, int) else f'{bound:g}'}", got
    if kind in ("literal_error", "enum"):
        expected = str(context["expected"])
        near = did_you_mean(str(details["input"]), re.findall(r"'([^']*)'", expected))
        return expected, got + (near if "did you mean" in near else "")
    if kind == "string_pattern_mismatch":
        pattern = context["pattern"]
        return _PATTERNS.get(pattern, f"text that matches {pattern}"), got
    if kind in ("too_short", "string_too_short"):
        return "given at least one value", "empty"
    return _EXPECTED.get(kind, ""), got


def _remedy(location: Location, kind: str) -> str:
    optional = location[:1] == ("constraints",) or location[-1:] == ("timeout_s",)
    limited = kind in _BOUNDS or kind == "finite_number"
    return "; leave it out for no limit" if optional and limited else ""


def _purpose(location: Location, model: type[BaseModel]) -> str:
    parent = _model_at(model, location[:-1])
    field = parent.model_fields.get(str(location[-1])) if parent else None
    description = field.description if field else None
    if description is None and field and isinstance(field.annotation, type):
        description = (field.annotation.__doc__ or "").strip().splitlines()[0]
    return f": {description}" if description else "; add it"


def _nearest_key(location: Location, model: type[BaseModel]) -> str:
    key = str(location[-1])
    homes = [path for path in _all_keys(model, "") if path.rpartition(".")[2] == key]
    if len(homes) == 1:
        return f"; did you mean '{homes[0]}'?"
    parent = _model_at(model, location[:-1])
    return did_you_mean(key, parent.model_fields) if parent else ""


def _model_at(model: type[BaseModel], location: Location) -> type[BaseModel] | None:
    found: Any = model
    for step in location:
        models = _models_in(found)
        if models:
            field = models[0].model_fields.get(str(step))
            found = field.annotation if field else None
        else:
            # A mapping or a list: one step goes to its values.
            arguments = get_args(found)
            found = arguments[-1] if arguments and get_origin(found) is dict else None
    models = _models_in(found)
    return models[0] if models else None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models among an annotation and the members of its union."""
    members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else [annotation]
    return [m for m in members if isinstance(m, type) and issubclass(m, BaseModel)]


def _all_keys(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        for section in _models_in(field.annotation):
            yield from _all_keys(section, f"{prefix}{name}.")
