"""The final table, fitted to the width of the terminal."""

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from hamerspace import _numbers
from hamerspace._numbers import ABSENT
from hamerspace.cli.console import stanzas
from hamerspace.quantities import BY_NAME
from hamerspace.report.run_data import RunData
from hamerspace.report.tables import Model, final_models, final_rows

# From these widths in characters on, the figures of a row fit beside its names without wrapping.
_LEAST_WIDTHS = {"memory": 90, "quality": 70}
_WITH_COLUMNS = 56
# Names and verdicts that leave this much for the figures stand in a line with them.
_FIGURES_ON_ONE_LINE = 96


def final_table(run: RunData, width: int) -> RenderableType:
    """The source, the baselines and the confirmed candidates; figures never wrap.

    Where every name and verdict fits beside the figures, a model takes one line. Otherwise it
    takes two (the verdict under the name, the ratio under the figure), and a narrow terminal
    leaves out memory, then quality. Where no room is left beside the figures, they stand below
    the name.

    Args:
        run: What to show.
        width: Of the terminal, in characters.
    """
    models = final_models(run)
    if width < _WITH_COLUMNS:
        return _stanzas(run, models)
    words = max(len(m.name) for m in models) + max(len(m.verdict) for m in models)
    one_line = width >= words + _FIGURES_ON_ONE_LINE
    heads = _heads(run, width)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", no_wrap=one_line, overflow="fold")
    for title in heads.values():
        table.add_column(title, no_wrap=True)
    if one_line:
        table.add_column("verdict", no_wrap=True)
    for model in models:
        cells = [_figure(key, run, model, one_line=one_line) for key in heads]
        if one_line:
            table.add_row(model.name, *cells, model.verdict, style=_style(model))
        else:
            table.add_row(_two_lines(model.name, _verdict(model)), *cells, style=_style(model))
    return table


def _stanzas(run: RunData, models: list[Model]) -> RenderableType:
    """A model's name, its verdict and its figures below each other."""

    def figures(row: dict[str, str]) -> list[str]:
        return [f"{k} {row[k]}" for k in ("drop", "latency", "size") if row[k] != ABSENT]

    both = zip(models, final_rows(run), strict=True)
    lines = ((Text(m.name, style=_style(m)), (_verdict(m), *figures(row))) for m, row in both)
    return stanzas(lines, below=2)


def _style(model: Model) -> str:
    return "green" if model.winner else ""


def _verdict(model: Model) -> str:
    """The verdict; the source's would only repeat its name."""
    return model.verdict if model.verdict != "source" else ""


def _heads(run: RunData, width: int) -> dict[str, str]:
    """Key of a figure to the head of its column."""
    heads = {"quality": run.metric.name, "drop": f"drop ({run.metric.drop_unit})"}
    keys = ("quality", "drop", "latency", "size", "memory")
    return {key: heads.get(key, key) for key in keys if width >= _LEAST_WIDTHS.get(key, 0)}


def _figure(key: str, run: RunData, model: Model, *, one_line: bool) -> Text:
    """A figure and, where there is one, its ratio or interval; the drop's unit is in its head."""
    values, extra = model.values, ""
    if key == "quality":
        main = _numbers.quality(values.get("quality"), run.metric)
    elif key == "drop":
        main = _numbers.drop(None if model.source is None else values.get("drop_points"))
        if main != ABSENT:
            extra = _numbers.ends_of_drop(values.get("drop_low"), values.get("drop_high"))
    else:
        figure = BY_NAME[key].key
        main = _numbers.amount(figure, values.get(figure))
        if model.source and key != "memory":
            extra = _numbers.gain(figure, _numbers.ratio_of(figure, values, model.source))
        extra = f"({extra})" if extra and one_line else extra
    return Text(f"{main} {extra}".rstrip()) if one_line else _two_lines(main, extra)


def _two_lines(main: str, extra: str) -> Text:
    return Text.assemble(main, "\n", (extra, "dim")) if extra else Text(main)
