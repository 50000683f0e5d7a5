"""Plain text as Markdown that draws it as it is, and tables of it."""

import re
from collections.abc import Iterable, Sequence

from hamerspace._text import visible

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|$~])")


def escape(text: str) -> str:
    """``text`` on one line, with nothing in it that Markdown, HTML or mathematics would take."""
    return _SPECIAL.sub(r"\\\1", visible(" ".join(text.split()), lines=False))


def code(text: str) -> str:
    """``text`` as code within a line; where something in it would end that, as :func:`escape`."""
    shown = visible(text, lines=False)
    ends = "`" in shown or "|" in shown or shown != shown.strip() or not shown
    return escape(text) if ends else f"`{shown}`"


def fence(kind: str, text: str) -> str:
    """A block of code that no line of ``text`` ends."""
    ticks = "`" * max([4, *(len(found) + 1 for found in re.findall("`+", text))])
    return f"{ticks}{kind}\n{visible(text.rstrip())}\n{ticks}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already, ending in a newline."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
