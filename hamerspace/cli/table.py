"""The final table, fitted to the width of the terminal."""

from typing import TYPE_CHECKING

from hamerspace._numbers import ABSENT

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from hamerspace.report.run_data import RunData

# Of these widths in characters, the figures of a row fit beside its names without wrapping.
_WITH_MEMORY = 90
_WITH_QUALITY = 70
_WITH_COLUMNS = 56
# Names and verdicts that leave this much for the figures stand in a line with them.
_FIGURES_ON_ONE_LINE = 96


def final_table(run: "RunData", width: int) -> "RenderableType":
    """The source, the baselines and the confirmed candidates; figures never wrap.

    Where every name and verdict fits beside the figures, a model takes one line. Otherwise it
    takes two (the verdict under the name, the ratio under the figure), and a narrow terminal
    leaves out memory, then quality. Where no room is left beside the figures, they stand below
    the name.

    Args:
        run: What to show.
        width: Of the terminal, in characters.
    """
    from rich.table import Table

    from hamerspace.report.tables import final_rows

    rows = final_rows(run)
    if width < _WITH_COLUMNS:
        return _stanzas(rows)
    words = sum(max(len(row[key]) for row in rows) for key in ("name", "verdict"))
    one_line = width >= words + _FIGURES_ON_ONE_LINE
    heads = _heads(run, width)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", no_wrap=one_line, overflow="fold")
    for title in heads.values():
        table.add_column(title, no_wrap=True)
    if one_line:
        table.add_column("verdict", no_wrap=True)
    for row in rows:
        style = _style(row)
        cells = [_figure(key, row[key], one_line=one_line) for key in heads]
        if one_line:
            table.add_row(row["name"], *cells, row["verdict"], style=style)
        else:
            table.add_row(_two_lines(row["name"], _verdict(row)), *cells, style=style)
    return table


def _stanzas(rows: "list[dict[str, str]]") -> "RenderableType":
    """A model's name, its verdict and its figures below each other."""
    from rich.text import Text

    from hamerspace.cli.console import stanzas

    def figures(row: dict[str, str]) -> list[str]:
        return [f"{k} {row[k]}" for k in ("drop", "latency", "size") if row[k] != ABSENT]

    lines = ((Text(r["name"], style=_style(r)), (_verdict(r), *figures(r))) for r in rows)
    return stanzas(lines, below=2)


def _style(row: dict[str, str]) -> str:
    return "green" if row["verdict"].startswith("winner") else ""


def _verdict(row: dict[str, str]) -> str:
    """The verdict; the source's would only repeat its name."""
    return row["verdict"] if row["verdict"] != "source" else ""


def _heads(run: "RunData", width: int) -> dict[str, str]:
    """Key of a figure to the head of its column."""
    heads = {
        "quality": run.metric.name,
        "drop": f"drop ({run.metric.drop_unit})",
        "latency": "latency",
        "size": "size",
        "memory": "memory",
    }
    if width < _WITH_MEMORY:
        del heads["memory"]
    if width < _WITH_QUALITY:
        del heads["quality"]
    return heads


def _figure(key: str, text: str, *, one_line: bool) -> "Text":
    """A figure and, where there is one, its ratio or interval; the drop's unit is in its head."""
    from rich.text import Text

    main, opening, extra = text.partition(" [" if key == "drop" else " (")
    if key == "drop":
        main = main.split()[0]
    if not opening:
        return Text(main)
    if key == "drop":
        extra = f"[{extra}"
    elif one_line:
        extra = f"({extra}"
    else:
        extra = extra.removesuffix(")")
    return Text(f"{main} {extra}") if one_line else _two_lines(main, extra)


def _two_lines(main: str, extra: str) -> "Text":
    from rich.text import Text

    return Text.assemble(main, "\n", (extra, "dim")) if extra else Text(main)
