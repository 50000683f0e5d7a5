"""Pieces of HTML that a notebook shows: escaped, without scripts, readable on light and dark."""

import html
from collections.abc import Iterable, Mapping, Sequence

_CELL = "text-align:left;padding:2px 16px 2px 0;border:0"


def card(title: str, *parts: str) -> str:
    """A title over parts that are HTML already, such as a :func:`table`."""
    head = f'<div style="font-weight:600;margin-bottom:4px">{html.escape(title)}</div>'
    return f"<div>{head}{''.join(parts)}</div>"


def line(text: str) -> str:
    """A paragraph of plain text, fainter than the title."""
    return f'<div style="opacity:0.75;margin-bottom:4px">{html.escape(text)}</div>'


def table(rows: Iterable[Sequence[object]], head: Sequence[str] = ()) -> str:
    """Rows of cells, each shown as its text."""
    heads = "".join(f'<th style="{_CELL}">{html.escape(name)}</th>' for name in head)
    lines = [f"<tr>{heads}</tr>"] if head else []
    for row in rows:
        cells = "".join(f'<td style="{_CELL}">{html.escape(str(cell))}</td>' for cell in row)
        lines.append(f"<tr>{cells}</tr>")
    return (
        f'<table style="border-collapse:collapse;margin:0;color:inherit">{"".join(lines)}</table>'
    )


def pairs(values: Mapping[str, object]) -> str:
    """A table of names and their values."""
    return table(values.items())


def bar(done: int, total: int) -> str:
    """A bar of progress in the colour of the text."""
    share = 100 * min(done / total, 1.0) if total else 0.0
    filled = f'<div style="width:{share:.1f}%;height:100%;background:currentColor"></div>'
    return (
        '<div style="width:16em;height:0.5em;margin:4px 0;background:rgba(128,138,155,0.3);'
        f'opacity:0.7">{filled}</div>'
    )
