"""Printing for people and for programs."""

import json
import logging
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from hamerspace._numbers import amount
from hamerspace._text import visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.table import Table
    from rich.text import Text

    from hamerspace.tasks.model import SourceInfo

_NO_TERMINAL_WIDTH = 160
_LEAST_WIDTH = 20


def console(*, stderr: bool = False) -> "Console":
    """A console as wide as its terminal; where there is none, as ``$COLUMNS`` or wide enough."""
    stream = sys.stderr if stderr else sys.stdout
    columns = os.environ.get("COLUMNS", "")
    asked = int(columns) if columns.isdecimal() and len(columns) < 6 else 0
    # Rich prints nothing at all at a width of 0.
    measured = stream.isatty() and not columns.isdecimal()
    width = asked if asked >= _LEAST_WIDTH else None if measured else _NO_TERMINAL_WIDTH
    # No markup: extras such as [openvino] and shapes are text.
    return _console_type()(stderr=stderr, width=width, highlight=False, markup=False)


@cache
def _console_type() -> "type[Console]":
    """A console to which names of models and words of tools can do nothing."""
    from rich.console import Console
    from rich.segment import Segment
    from typer import Exit

    class VisibleConsole(Console):
        def render(
            self, renderable: "RenderableType", options: "ConsoleOptions | None" = None
        ) -> Iterable["Segment"]:
            for text, style, control in super().render(renderable, options):
                yield Segment(text if control else visible(text), style, control)

        def on_broken_pipe(self) -> None:
            """End as ours: Rich's own exit would look like that of code that is not."""
            raise Exit(1)

    return VisibleConsole


def say(text: str, *, stderr: bool = False, end: str = "\n") -> None:
    """Print text for people on lines of any length."""
    (sys.stderr if stderr else sys.stdout).write(visible(text) + end)


class _VisibleFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


def show_warnings() -> None:
    """Have warnings of the log, which go to standard error, do nothing to the terminal."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_VisibleFormatter())


def print_notes(out: "Console", warnings: Sequence[str], notes: Sequence[str]) -> None:
    """Print what nobody may overlook, then what else there is to know."""
    from rich.text import Text

    for warning in warnings:
        out.print(Text(f"warning: {warning}", style="bold red"))
    for note in notes:
        out.print(Text(f"note: {note}", style="yellow"))


def print_model(out: "Console", source: "SourceInfo") -> None:
    """Print what a source model was found to be."""
    made_of = ", ".join(source.op_families) or "no layers with weights"
    out.print(
        f"model: {source.format}, {source.parameter_count:,} parameters, "
        f"{amount('size_mb', source.size_bytes / 1e6)} of {source.weights_text} ({made_of})"
    )


def plain_table(whole: Sequence[str], folded: Sequence[str] = (), **style: Any) -> "Table":
    """A table without lines.

    Args:
        whole: Heads of the first columns, whose cells stand on one line.
        folded: Those of the others, whose cells wrap anywhere.
        style: Of the table as a whole.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False, **style)
    for head in whole:
        table.add_column(head, no_wrap=True)
    for head in folded:
        table.add_column(head, overflow="fold")
    return table


def stanzas(
    rows: Iterable[tuple["str | Text", Iterable["str | Text"]]], *, indent: int = 0, below: int
) -> "RenderableType":
    """Rows of a table below each other, for terminals where columns would cut their words.

    Args:
        rows: A line of each, and those below it; empty ones are left out.
        indent: Of the first line, in characters.
        below: Of the others.
    """
    from rich.console import Group
    from rich.padding import Padding

    parts: list[RenderableType] = []
    for first, others in rows:
        parts.append(Padding(first, (0, 0, 0, indent)) if indent else first)
        parts += [Padding(line, (0, 0, 0, below)) for line in others if line]
    return Group(*parts)


def print_json(value: Any) -> None:
    """Print one JSON document; numbers that JSON lacks become null.

    Dataclasses and mappings are objects, whatever has no counterpart stands as its text.
    """
    from pydantic_core import to_jsonable_python

    plain = to_jsonable_python(
        value,
        inf_nan_mode="null",
        fallback=lambda other: dict(other) if isinstance(other, Mapping) else str(other),
    )
    sys.stdout.write(json.dumps(plain, indent=1) + "\n")
