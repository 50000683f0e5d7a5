"""Printing for people and for programs."""

import json
import math
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_NO_TERMINAL_WIDTH = 160
_LEAST_WIDTH = 20


def console(*, stderr: bool = False) -> "Console":
    """A console as wide as its terminal; where there is none, as ``$COLUMNS`` or wide enough."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    columns = os.environ.get("COLUMNS", "")
    asked = int(columns) if columns.isdecimal() and len(columns) < 6 else 0
    # Rich prints nothing at all at a width of 0.
    measured = stream.isatty() and not columns.isdecimal()
    width = asked if asked >= _LEAST_WIDTH else None if measured else _NO_TERMINAL_WIDTH
    # No markup: extras such as [openvino] and shapes are text.
    return Console(stderr=stderr, width=width, highlight=False, markup=False)


def print_json(value: Any) -> None:
    """Print one JSON document; numbers that JSON lacks become null."""
    sys.stdout.write(json.dumps(_finite(value), indent=1, default=str) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
