"""A space as plain values: what a table was measured on stays what it was."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from hamerspace.recipe import Condition, Parameter
from hamerspace.space.choice import Choice
from hamerspace.space.space import Space


def space_to_dict(space: Space) -> dict[str, Any]:
    """The name and the choices of a space, masked values left out."""
    return {"name": space.name, "choices": [_choice_to_dict(c) for c in space.choices]}


def space_from_dict(value: Mapping[str, Any]) -> Space:
    """What :func:`space_to_dict` wrote."""
    return Space(value["name"], [_choice_from_dict(c) for c in value["choices"]])


def _choice_to_dict(choice: Choice) -> dict[str, Any]:
    return asdict(choice)


def _choice_from_dict(value: Mapping[str, Any]) -> Choice:
    given = dict(value["parameter"])
    given["when"] = _conditions(given["when"])
    for key in ("choices", "calibrated"):
        given[key] = tuple(given[key])
    fields = {**value, "values": tuple(value["values"]), "when": _conditions(value["when"])}
    return Choice(**{**fields, "parameter": Parameter(**given)})


def _conditions(values: Any) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            value["parameter"],
            tuple(value["values"]),
            tuple(value["excluded"]),
            _conditions(value["alternatives"]),
        )
        for value in values
    )
