"""JSON that is read through a schema: what is wrong with it is told by its key, at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError
    from pydantic_core import ErrorDetails

T = TypeVar("T")

_SCALARS = ("str", "int", "float", "bool")


def from_json(kind: type[T], text: str | bytes) -> T:
    """Read JSON as a dataclass or a pydantic model, without converting one kind into another.

    Raises:
        ValueError: It is no JSON, is nested too deeply, or does not fit ``kind``; the message
            names the first key that is wrong, such as ``'confirmed[0].number'``.
    """
    with _told():
        value: T = _adapter(cast("Any", kind)).validate_json(text, strict=True)
    return value


def from_plain(kind: type[T], value: Any) -> T:
    """Make a dataclass or a pydantic model from the plain values that it was turned into.

    Raises:
        ValueError: As :func:`from_json`.
    """
    with _told():
        made: T = _adapter(cast("Any", kind)).validate_python(value)
    return made


@contextmanager
def _told() -> Iterator[None]:
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error


def first_problem(error: "ValidationError") -> str:
    """The first of what pydantic found wrong, with its key."""
    first, *others = error.errors(include_url=False)
    where, said = first["loc"], [_said(first)]
    # Of a union of scalars, every member says what it wants, under its own name.
    union = [e for e in others if e["loc"][:-1] == where[:-1] and e["loc"][-1:] != where[-1:]]
    union = union if where and where[-1] in _SCALARS else []
    if union:
        where, said = (
            where[:-1],
            said + [_said(other).removeprefix("should be ") for other in union],
        )
    key = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where)
    return f"'{key.lstrip('.')}' {' or '.join(said)}" if key else " or ".join(said)


def _said(details: "ErrorDetails") -> str:
    said = details["msg"].removeprefix("Value error, ").replace("Field required", "is missing")
    said = said.replace("Input should", "should")
    return said if details["loc"] else said.replace("should", "it should")


@cache
def _adapter(kind: Any) -> "TypeAdapter[Any]":
    # Late: the processes that measure have numpy and their runtime alone.
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
