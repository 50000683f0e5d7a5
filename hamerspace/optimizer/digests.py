"""Digests of what lives in memory, equal for what behaves alike in this process and the next."""

import functools
import hashlib
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from hamerspace.errors import ConfigError

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis))


def digest(*parts: str | bytes) -> str:
    """Twelve hexadecimal digits of the SHA-256 of some text and bytes."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part.encode() if isinstance(part, str) else part)
    return total.hexdigest()[:12]


def array_bytes(array: Any) -> bytes:
    """Everything that an array is: dtype, shape, content."""
    return f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes()


def function_digest(function: Callable[..., Any]) -> str:
    """Digest of a function: its code, defaults, closure, and the globals that it names.

    Functions that it calls count in the same way where they are Python; modules and builtins
    count by name.

    Raises:
        ConfigError: It holds on to something that has no lasting content, such as an open file.
    """
    try:
        return digest(*_parts(function, {}))
    except Exception as error:
        raise ConfigError(
            f"validate: {function!r} holds on to what cannot be told apart by content ({error}); "
            "give a plain function of outputs and labels"
        ) from error


def _parts(value: Any, seen: dict[int, Any]) -> Iterator[str | bytes]:
    """The content of a value, as text and bytes; what refers to itself ends there."""
    yield type(value).__qualname__
    if isinstance(value, _PLAIN):
        yield repr(value)
    elif id(value) not in seen:
        seen[id(value)] = value  # kept, or another object could get its id
        yield from _content(value, seen)


@functools.singledispatch
def _content(value: Any, seen: dict[int, Any]) -> Iterator[str | bytes]:
    if getattr(value, "__module__", None) and hasattr(value, "__qualname__"):  # a builtin
        yield f"{value.__module__}.{value.__qualname__}"
    elif callable(value) and hasattr(value, "__dict__"):
        yield from _parts((type(value).__call__, vars(value)), seen)
    else:
        yield pickle.dumps(value)


@_content.register
def _(value: CodeType, seen: dict[int, Any]) -> Iterator[str | bytes]:
    yield value.co_code
    yield from _parts((value.co_names, value.co_varnames, value.co_consts), seen)


@_content.register
def _(value: FunctionType, seen: dict[int, Any]) -> Iterator[str | bytes]:
    closure = [cell.cell_contents for cell in value.__closure__ or ()]
    scope, names = value.__globals__, _names(value.__code__)
    used = {name: scope[name] for name in names if name in scope}
    yield from _parts(
        (value.__code__, value.__defaults__, value.__kwdefaults__, closure, used), seen
    )


@_content.register
def _(value: MethodType, seen: dict[int, Any]) -> Iterator[str | bytes]:
    yield from _parts((value.__func__, value.__self__), seen)


@_content.register
def _(value: functools.partial, seen: dict[int, Any]) -> Iterator[str | bytes]:  # type: ignore[type-arg]
    yield from _parts((value.func, value.args, value.keywords), seen)


@_content.register(list)
@_content.register(tuple)
def _(value: Iterable[Any], seen: dict[int, Any]) -> Iterator[str | bytes]:
    for item in value:
        yield from _parts(item, seen)


@_content.register
def _(value: Mapping, seen: dict[int, Any]) -> Iterator[str | bytes]:  # type: ignore[type-arg]
    for pair in value.items():
        yield from _parts(pair, seen)


@_content.register
def _(value: AbstractSet, seen: dict[int, Any]) -> Iterator[str | bytes]:  # type: ignore[type-arg]
    yield from sorted(digest(*_parts(item, seen)) for item in value)


@_content.register
def _(value: np.ndarray, seen: dict[int, Any]) -> Iterator[str | bytes]:  # noqa: ARG001 - holds nothing else
    yield array_bytes(value)


@_content.register
def _(value: ModuleType, seen: dict[int, Any]) -> Iterator[str | bytes]:  # noqa: ARG001 - by name
    yield value.__name__


def _names(code: CodeType) -> list[str]:
    """Names that a function and those defined in it look up."""
    inner = [name for c in code.co_consts if isinstance(c, CodeType) for name in _names(c)]
    return sorted({*code.co_names, *inner})
